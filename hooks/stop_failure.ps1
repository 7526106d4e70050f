# StopFailure on Windows: stop_failure.ps1 PYTHON HOME
#
# In `claude -p` newer clients end a StopFailure hook at once, and its children with it. So this saves stdin, starts
# stop_failure.py without waiting for it, and leaves. It prints nothing, and its exit code is 0.
param([string]$Python = 'python', [string]$StateFolder = 'plugin')

$ErrorActionPreference = 'Stop'
try {
    $place = $StateFolder
    if ($place -eq 'plugin') {
        $place = $env:TRINITY_HOME
        if (-not $place) { $place = Join-Path $env:USERPROFILE '.trinity' }
    }
    $held = Join-Path $place 'held'
    if (-not (Test-Path -LiteralPath $held)) { New-Item -ItemType Directory -Path $held -Force | Out-Null }
    $saved = Join-Path $held "stop_failure.$PID.json"
    $file = [System.IO.File]::Create($saved)
    try { [System.Console]::OpenStandardInput().CopyTo($file) } finally { $file.Dispose() }

    $program = Join-Path $PSScriptRoot 'stop_failure.py'
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Python
    # Windows file names hold no double quote, so these need no escaping
    $start.Arguments = '-I -S "{0}" "{1}" "{2}"' -f $program, $StateFolder, $saved
    $start.UseShellExecute = $true
    $start.WindowStyle = 'Hidden'
    [System.Diagnostics.Process]::Start($start) | Out-Null
} catch {
    # a hook never fails a session; the sweep of the transcripts finds what was lost here
}
exit 0
