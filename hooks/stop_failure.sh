#!/bin/sh
# StopFailure: stop_failure.sh PYTHON HOME|plugin
#
# In `claude -p` newer clients end a StopFailure hook 20 to 70 ms after they started it: SIGTERM, then SIGKILL for it and
# its children 1.5 s later. Python may lose that race. So this saves stdin, starts stop_failure.py as a process that
# is nobody's child any more, and leaves; the signals are ignored for those few milliseconds. A signal that comes before
# the first line costs the event: in -p SessionEnd is what is sure.
# It prints nothing, and its exit code is 0.
trap '' HUP INT TERM
umask 077
exec 2>/dev/null

home=${2:-plugin}
[ "$home" = plugin ] && home=${TRINITY_HOME:-$HOME/.trinity}
[ -d "$home/held" ] || mkdir "$home" "$home/held"
saved=$home/held/stop_failure.$$.json
cat >"$saved"

# the last act: a child that is started while this process lives on would be killed with it
(exec "${1:-python3}" -I -S "${0%/*}/stop_failure.py" "${2:-plugin}" "$saved" "$PPID") >/dev/null 2>&1 </dev/null &
exit 0
