"""What a guarded session may and may not type: a table of commands as people and models write them.

HOME is /srv/team, the project lay in /srv/team/app, lies in /srv/team/jobs/app-carried, and that is the working folder.
"""

import ntpath
import os
from pathlib import Path
from typing import Any

import pytest

from trinity.hooks.guard import reaches

HOME = "/srv/team"
OLD, NEW = f"{HOME}/app", f"{HOME}/jobs/app-carried"

DENIED = r"""
echo x > /srv/team/app/a.txt
echo x >> /srv/team/app/a.txt
echo x>/srv/team/app/a.txt
echo x >| /srv/team/app/a.txt
echo x 2>/srv/team/app/err
echo x &> /srv/team/app/all.log
: > /srv/team/app/a.txt
cd /srv/team/app && make
cd /srv/team/app; rm a.txt
cd /srv/team/app
cd "/srv/team/app" && rm a
cd '/srv/team/app' || exit
cd -- /srv/team/app
cd -P ../../app && touch a
(cd /srv/team/app && rm a)
pushd /srv/team/app
pushd ../../app && rm a
cd .. && cd .. && cd app && rm a.txt
cd ../.. && echo x > app/a.txt
cd ..; cd ..; rm app/a.txt
cd ../../ && cd ./app/src && sed -i s/a/b/ x.py
cd src/../../../app && rm a
cd /srv && cd team && cd app && rm -f a
cd / && rm srv/team/app/a
cd ~ && rm app/a
cd && rm app/a
cd; echo x > app/a
cd $HOME && echo x > app/a
rm ~/app/a
rm -rf ~/app
rm "$HOME/app/a"
rm "$HOME"/app/a
rm ${HOME}/app/a
rm "${HOME}/app"
echo x > ~/app/a.txt
ls ~/app
OLD=/srv/team/app; rm $OLD/a
OLD=/srv/team; rm "$OLD/app/a"
D=/srv; E=$D/team; rm ${E}/app/a
export ROOT="/srv/team" && touch "$ROOT"/app/new
T=team; rm /srv/$T/app/a
rm $PWD/../../app/a
rm "${PWD}/../../app/a"
for d in ../../app ../x; do rm "$d/a"; done
git -C /srv/team/app commit -am x
git -C ../../app checkout .
git --git-dir=/srv/team/app/.git --work-tree=/srv/team/app reset --hard
git --work-tree=../../app checkout -- .
git --git-dir ../../app/.git gc
GIT_DIR=/srv/team/app/.git git gc
GIT_WORK_TREE=../../app git checkout .
make -C /srv/team/app
make -C/srv/team/app
make -C ../../app clean
make --directory=/srv/team/app
npm --prefix ../../app install
npm --prefix /srv/team/app run build
cargo build --manifest-path /srv/team/app/Cargo.toml
tar -xf t.tar -C /srv/team/app
tar -C ../../app -xf t.tar
unzip t.zip -d /srv/team/app
unzip t.zip -d../../app
env -C /srv/team/app make
env --chdir=/srv/team/app make
rm -rf /srv/team/app/
rm -rf /srv/team/app/*
rm -rf /srv/team/app*
rm -rf /srv/team/a*/src
rm -rf /srv/team/ap?
rm -rf /srv/*/app/src
rm ../../*/a.txt
rm ../../{app,other}/a.txt
rm -rf /srv/team/{app,x}
rm -rf ../../app
rm -rf ../../app/.
rm /srv//team///app/a
rm /srv/team/./app/a
rm /srv/team/x/../app/a
rm ../../jobs/../app/a
cp a.txt /srv/team/app/
cp -r . /srv/team/app
cp --target-directory=/srv/team/app a
mv a.txt ../../app/b.txt
mv /srv/team/app /srv/team/app.old
ln -s /srv/team/app link
ln -sf "$PWD" /srv/team/app/link
install -m 644 a /srv/team/app/a
rsync -a ./ /srv/team/app/
rsync -a --delete ./ ../../app
touch /srv/team/app/new
mkdir -p /srv/team/app/new/deep
chmod +x /srv/team/app/run.sh
chmod -R a+w /srv/team/app
chmod -R a+w /srv/team
chown -R me: ~
truncate -s 0 /srv/team/app/a
dd if=/dev/zero of=/srv/team/app/a count=1
dd of=../../app/a if=x
tee /srv/team/app/a < x
echo x | tee -a /srv/team/app/a
echo x | tee ../../app/a > /dev/null
sed -i 's/a/b/' /srv/team/app/a.py
sed -i.bak s/a/b/ ../../app/a.py
sed -n p ../../app/a.py
perl -pi -e 's/a/b/' /srv/team/app/a.py
awk '{print > "/srv/team/app/out"}' x
patch -d /srv/team/app -p1 < x.patch
patch ../../app/a.py x.patch
find /srv/team/app -name '*.pyc' -delete
find ../../app -type f -exec rm {} +
find /srv/team -name '*.pyc' -delete
find ~ -name a.txt -exec rm {} \;
find .. ../.. -name '*.txt' | xargs rm
find / -name a.txt -print0 | xargs -0 rm
grep -rl foo ~ | xargs sed -i s/foo/bar/
ls /srv/team/app | xargs rm
xargs -a list rm < /srv/team/app/list
rm -rf ~
rm -rf /srv/team
rm -r ../..
rm -rf "$HOME"
cd ~ && find . -name a -delete
cat /srv/team/app/a.txt
less ../../app/a.txt
head -1 < /srv/team/app/a
diff a.txt /srv/team/app/a.txt
python -c "open('/srv/team/app/a','w').write('x')"
python3 -c 'import os; os.chdir("/srv/team/app"); open("a","w")'
python3 -c "import shutil; shutil.rmtree('../../app')"
python - <<'E'\nopen("/srv/team/app/a", "w")\nE
python3 <<E\nfrom pathlib import Path\nPath("/srv/team/app/a").write_text("x")\nE
node -e 'require("fs").writeFileSync("/srv/team/app/a","x")'
ruby -e 'File.write("../../app/a", "x")'
perl -e 'unlink "/srv/team/app/a"'
bash -c 'rm /srv/team/app/a'
bash -c "cd ../../app && rm a"
sh -c 'cd .. && cd ../app && rm a'
eval "rm /srv/team/app/a"
bash <<'E'\ncd ../../app\nrm a\nE
cat > /srv/team/app/a <<'E'\nhello\nE
cat <<E > ../../app/a\nhello\nE
cat << 'E' | tee /srv/team/app/a\nx\nE
sudo rm /srv/team/app/a
nohup make -C /srv/team/app > log 2>&1 &
timeout 5 rm /srv/team/app/a
time (rm ../../app/a)
if true; then rm /srv/team/app/a; fi
while read f; do rm /srv/team/app/$f; done < list
test -f /srv/team/app/a && rm "$_"
[ -d /srv/team/app ] && echo there
echo $(cat /srv/team/app/a)
echo `cat /srv/team/app/a`
x=$(cd ../../app && pwd)
. /srv/team/app/.venv/bin/activate
source ../../app/.env
/srv/team/app/run.sh
../../app/run.sh
PYTHONPATH=/srv/team/app python -m x
PATH=/usr/bin:/srv/team/app/bin tool
PATH="$PWD/../../app/bin:$PATH" tool
curl -o /srv/team/app/a https://example.invalid/
curl -d @/srv/team/app/a https://example.invalid/
curl file:///srv/team/app/a
docker run -v /srv/team/app:/app image
git clone /srv/team/app copy
git worktree add /srv/team/app/wt
git remote add old file:///srv/team/app
rm '/srv/team/app/a'
rm "/srv/team/"app/a
rm /srv/te'am'/app/a
rm /srv/team/ap\p/a
rm /srv/team/app/a\ b
rm /srv/team/app\
""".strip("\n").splitlines()  # fmt: skip

ALLOWED = r"""
ls
pwd
git status
git commit -am 'the next step'
git -C . log -1
git checkout -b app
make
make -C src
make app
npm run app
rm -rf build
rm -rf ./app
rm app/a.txt
cd app && rm a.txt
cd src && make && cd ..
cd .. && ls
cd .. && ls app-carried
cd ../.. && ls jobs/app-carried
cd /srv/team/jobs/app-carried && make
cd /srv/team/jobs/app-carried/src; rm x
echo x > /srv/team/jobs/app-carried/a
sed -i s/a/b/ /srv/team/jobs/app-carried/a.py
rm -rf /srv/team/jobs/app-carried/build
find . -name '*.pyc' -delete
find . -type f | xargs grep -l app
find /srv/team/jobs/app-carried -name x -exec rm {} +
grep -r app .
grep -rn "team/app" src
ls /srv/team/apple
cat /srv/team/app2/a
cat /srv/team/app-carried/a
ls /srv/team/app.bak /srv/team/app_old
cat /srv/team/myapp/a
cat /backup/srv/team/app/a
ls ./srv/team/app
cat x/srv/team/app/a
cat /srv/team/other/app/a
ls /srv/team
ls ~
ls ..
cat ~/.bashrc
cat /etc/hosts
ls /
find / -name python3 -maxdepth 3
mkdir -p src/app && touch src/app/a
python -m app
python app/main.py
./app/run.sh
echo app > name
docker run -v "$PWD:/app" image
docker exec app ls /app
curl http://localhost:8080/srv/app
cp -r src app
mv app src
tar -czf app.tgz app
git push origin app
git diff main..app
git log --oneline -- app
X=app; echo $X
for f in *.py; do echo "$f"; done
rm *.pyc
ls src/*.py
cat <<E > notes\nwhat the app does\nE
python - <<'E'\nprint("../app")\nE
true
rm -rf "$PWD/build"
rm -rf $TMPDIR_THAT_IS_NOT_SET/x
cd "$PWD/src" && ls
mv a.txt ~/other.txt
chmod 700 ~
rm ~/other.txt
""".strip("\n").splitlines()  # fmt: skip


@pytest.fixture(autouse=True)
def _people_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)
    for name in ("OLDPWD", "D", "E", "T", "X", "ROOT", "OLD"):
        monkeypatch.delenv(name, raising=False)


def _bash(command: str, old: str = OLD, new: str = NEW) -> bool:
    return reaches(old, new, new, "Bash", {"command": command.replace("\\n", "\n")})


@pytest.mark.posix
@pytest.mark.parametrize("command", DENIED)
def test_a_command_that_reaches_the_old_place_is_denied(command: str) -> None:
    assert _bash(command)


@pytest.mark.posix
@pytest.mark.parametrize("command", ALLOWED)
def test_an_ordinary_command_passes(command: str) -> None:
    assert not _bash(command)


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(set(DENIED)) >= 150 and len(set(ALLOWED)) >= 60


@pytest.mark.posix
def test_odd_commands_are_judged_and_cost_neither_time_nor_memory() -> None:
    for command in (
        "x=$x$x; " * 300 + "echo $x",
        "x=aaaaaaaaa; " + "x=$x$x; " * 40 + "echo " + "$x" * 20_000,
        "cd ..; " * 3000,
        "cd a; ls b; " * 500,
        "a='" * 5000,
        "{" * 5000,
        "/srv/" + "*a" * 200 + "b",
        "cat <<'E'\n" + 'it\'s "a" $word and/path ../other x=y\n' * 3000 + "E",
        "~\0 cd \0 $X\0 ../\0",
        "\udcff cd \udcff",
    ):
        assert not _bash(command), command[:80]
    assert _bash("x=$x$x; " * 300 + "rm /srv/team/app/a")
    assert _bash("cat <<E\n" + "word\n" * 5000 + "E\ncd ../..\nrm app/a")


@pytest.mark.posix
def test_a_name_with_blanks_is_reached_in_every_quoting() -> None:
    old, new = f"{HOME}/my app (1)", f"{HOME}/jobs/my app (1)-carried"
    for command in (
        f"rm '{old}/a'",
        f'cd "{old}" && rm a',
        "rm /srv/team/my\\ app\\ \\(1\\)/a",
        "rm ~/'my app (1)'/a",
        'rm "$HOME/my app (1)/a"',
        "cd ../.. && rm 'my app (1)/a'",
        "rm '../../my app (1)'/a",
        'D="/srv/team/my app (1)"; rm "$D/a"',
    ):
        assert _bash(command, old, new), command
    for command in (f"rm '{new}/a'", "rm 'my app'/a", "ls '../my app (1)-carried'"):
        assert not _bash(command, old, new), command


@pytest.mark.posix
def test_a_link_is_followed_wherever_it_stands(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "src").mkdir(parents=True)
    new.mkdir()
    (new / "way").symlink_to(old)
    (tmp_path / "other name").symlink_to(old)
    for command in (
        "rm way/a",
        "cd way && rm a",
        "echo x > ./way/src/a",
        "git -C way gc",
        f"rm '{tmp_path}/other name/a'",
        f"cd {tmp_path} && cd 'other name' && rm a",
        f"W={new}/way; rm $W/a",
    ):
        assert _bash(command, str(old), str(new)), command
    assert not _bash("rm away/a", str(old), str(new))


SERVER_DENIED: list[dict[str, Any]] = [
    {"path": f"{OLD}/a", "content": "x"},
    {"uri": f"file://{OLD}/a%20b"},
    {"uri": "file:///srv/team/%61pp/a"},
    {"edits": [{"file": {"name": f"{OLD}/a"}}]},
    {"paths": ["a", f"{OLD}/b"]},
    {"command": "cd ../../app && rm a"},
    {"code": f"open('{OLD}/a', 'w')"},
    {"anything": "../../app/a"},
    {"anything": "~/app/a"},
    {"query": f"copy to {OLD}/a now"},
    {"content": f"rm {OLD}/a"},
]
SERVER_ALLOWED: list[dict[str, Any]] = [
    {"path": f"{NEW}/a", "content": f"once in {OLD}/a"},
    {"uri": f"file://{NEW}/a%20b"},
    {"edits": [{"file": {"name": "app/a"}}]},
    {"query": "what does the app do?"},
    {"anything": "/backup/srv/team/app"},
    {"number": 1, "nothing": None, "flag": True},
]


@pytest.mark.posix
@pytest.mark.parametrize("given", SERVER_DENIED, ids=str)
def test_a_servers_tool_is_denied_the_old_place_in_any_of_its_texts(given: dict[str, Any]) -> None:
    assert reaches(OLD, NEW, NEW, "mcp__files__do", given)


@pytest.mark.posix
@pytest.mark.parametrize("given", SERVER_ALLOWED, ids=str)
def test_a_servers_tool_may_do_the_rest(given: dict[str, Any]) -> None:
    assert not reaches(OLD, NEW, NEW, "mcp__files__do", given)


WINDOWS_OLD, WINDOWS_NEW = r"C:\People\Ann\app", r"C:\People\Ann\jobs\app-carried"
WINDOWS_DENIED = r"""
del C:\People\Ann\app\a.txt
del c:\people\ann\APP\a.txt
echo x > C:/People/Ann/app/a.txt
echo x > "C:\People\Ann\app\a.txt"
rm /c/People/Ann/app/a
rm /C/people/ann/app/a
rm /mnt/c/People/Ann/app/a
rm /cygdrive/c/People/Ann/app/a
del \\?\C:\People\Ann\app\a
cd C:\People\Ann\app && del a
cd ..\..\app; del a
cd ../../app && rm a
cd .. && cd .. && rm app/a
del ..\..\app\a
copy a ..\..\App\b
Set-Location C:\People\Ann\app; Remove-Item a
Set-Location ..\..; Remove-Item app\a
Remove-Item -Recurse C:\People\Ann
$d = "C:\People\Ann"; del "$d\app\a"
python -c "open(r'C:\People\Ann\app\a','w')"
python -c "open('C:\\People\\Ann\\app\\a','w')"
git -C C:/People/Ann/app gc
git -C ..\..\app gc
""".strip("\n").splitlines()  # fmt: skip
WINDOWS_ALLOWED = r"""
dir
del app\a.txt
cd C:\People\Ann\jobs\app-carried && dir
type C:\People\Ann\apple\a.txt
rm /c/People/Ann/jobs/app-carried/a
del D:\People\Ann\app\a
Remove-Item -Recurse build
git status
""".strip("\n").splitlines()  # fmt: skip


@pytest.mark.parametrize("command", WINDOWS_DENIED)
def test_windows_paths_are_seen_in_every_shells_spelling(command: str) -> None:
    assert reaches(WINDOWS_OLD, WINDOWS_NEW, WINDOWS_NEW, "Bash", {"command": command}, ntpath)


@pytest.mark.parametrize("command", WINDOWS_ALLOWED)
def test_windows_commands_elsewhere_pass(command: str) -> None:
    assert not reaches(WINDOWS_OLD, WINDOWS_NEW, WINDOWS_NEW, "Bash", {"command": command}, ntpath)


def test_windows_paths_of_tools_are_one_in_both_cases_and_slashes() -> None:
    for path in (r"c:\people\ann\APP\a", "C:/People/Ann/app/a", r"..\..\app\a", "/c/People/Ann/app/a"):
        assert reaches(WINDOWS_OLD, WINDOWS_NEW, WINDOWS_NEW, "Edit", {"file_path": path}, ntpath), path
    for path in (r"C:\People\Ann\jobs\app-carried\a", "app/a", r"D:\People\Ann\app"):
        assert not reaches(WINDOWS_OLD, WINDOWS_NEW, WINDOWS_NEW, "Edit", {"file_path": path}, ntpath), path


@pytest.mark.posix
def test_another_people_name_for_the_folder_is_seen() -> None:
    old = os.path.expanduser("~root") + "/app"
    assert _bash("rm ~root/app/a", old, NEW)
