#!/bin/sh
# The tests of the folder this is called in: run_tests.sh PYTHON
#
# Three workers: one of them mostly waits for a clock. Real clients, terminals and daemons share the machine then, so a few
# that fail are repeated alone, once, and named: what fails there too has failed. More than five are not repeated.
python=$1
failed=.pytest_cache/v/cache/lastfailed

"$python" -m pytest -q -n 3 --dist worksteal --durations 10 --ignore tests/benchmarks --cache-clear && exit 0
code=$?
[ -f "$failed" ] || exit "$code"
# Tests that could not even be collected are no tests to be repeated: pytest would take that for all of them.
grep -q '^  "[^:]*": true' "$failed" && exit "$code"
count=$(grep -c '": true' "$failed")
if [ "$count" -gt 5 ]; then
    printf '== %s have failed: none of them is repeated\n' "$count"
    exit "$code"
fi
echo "== once more, alone, what failed beside the others:"
grep '": true' "$failed"
exec "$python" -m pytest -q --last-failed --last-failed-no-failures none --ignore tests/benchmarks
