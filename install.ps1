# Sets Trinity up on this PC, for this user: .\install.ps1 --help
# This file only finds a Python that can make environments; scripts/install.py does the rest.
$ErrorActionPreference = 'Stop'
$install = Join-Path (Join-Path $PSScriptRoot 'scripts') 'install.py'

# Prints the interpreter behind a name when it is new enough and whole. The Store's python.exe is a stub that prints nothing.
$probe = 'import sys, os; assert sys.version_info >= (3, 11); import venv, ensurepip, ssl; print(os.path.realpath(sys._base_executable or sys.executable))'

$candidates = @(
    , @($env:TRINITY_PYTHON)
    , @((Join-Path $PSScriptRoot '.venv\Scripts\python.exe'))
    , @('py', '-3')
    , @('python3')
    , @('python')
)
$python = $null
foreach ($candidate in $candidates) {
    if (-not $candidate[0]) { continue }
    if (-not (Get-Command $candidate[0] -ErrorAction SilentlyContinue)) { continue }
    $first = @($candidate | Select-Object -Skip 1)
    try {
        $found = & $candidate[0] @first -I -c $probe 2>$null
    } catch {
        continue
    }
    if ($LASTEXITCODE -eq 0 -and $found -and (Test-Path -LiteralPath $found)) {
        $python = $found
        break
    }
}
if (-not $python) {
    [Console]::Error.WriteLine('install.ps1: error: no Python 3.11 or newer that can make environments')
    [Console]::Error.WriteLine('  install one (winget install Python.Python.3.13), or name it: $env:TRINITY_PYTHON')
    exit 1
}
& $python -B $install @args
exit $LASTEXITCODE
