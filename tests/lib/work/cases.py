"""The cases of uncommitted work: a shell script makes PC1's clone dirty in one way.

Each is restored in a linked worktree and in a clone, and is equal in every view and every byte.
"""

from __future__ import annotations

EQUAL = {
    "clean": "true",
    "unstaged": "echo more >>a.txt",
    "staged": "echo more >>a.txt; git add a.txt",
    "staged and then changed again": "echo more >>a.txt; git add a.txt; echo again >>a.txt",
    "staged and then reverted": "echo more >>a.txt; git add a.txt; printf 'one\\n' >a.txt",
    "same size in the same moment": "printf 'ONE\\n' >a.txt; printf 'TWO\\n' >b.txt; git add b.txt; printf 'two\\n' >b.txt",
    "deleted": "rm a.txt; git rm -q b.txt; git rm -q --cached c.txt; rm -r dir",
    "deleted and still ignored": "git rm -q --cached c.txt; echo c.txt >>.gitignore",
    "untracked": "echo new >new.txt; mkdir -p deep/er; echo n >deep/er/n; echo more >>dir/new",
    "ignored": "mkdir ignored logs; echo i >ignored/i; echo l >x.log; echo l >logs/x.log; echo n >n",
    "empty folders": "mkdir -p hollow/inner deep/hollow; echo x >deep/x",
    "a changed folder is empty": "rm dir/d.txt dir/e.txt",
    "binary": "printf '\\000\\377\\r\\n\\032new' >data.bin; printf '\\000' >other.bin",
    "executable bit": "chmod +x a.txt; chmod -x run.sh",
    "staged +x, worktree -x": (
        "chmod +x a.txt; git add a.txt; chmod -x a.txt; chmod -x run.sh; git add run.sh; chmod +x run.sh"
    ),
    "modes git does not know": "chmod 600 a.txt; chmod 640 b.txt; echo x >new; chmod 600 new",
    "dangling, absolute and looping links": (
        "ln -s nowhere l1; ln -s /etc/passwd l2; ln -s l3 l3; ln -sf b.txt link; git add l1"
    ),
    "file becomes link": "rm a.txt; ln -s b.txt a.txt",
    "link becomes file": "rm link; echo file >link",
    "folder becomes link": "rm -r dir; ln -s src dir",
    "link becomes folder": "rm link; mkdir link; echo x >link/x",
    "folder becomes a link to itself": "rm -r dir; ln -s dir/loop dir",
    "folder becomes an ignored link to itself": "rm -r dir; ln -s dir/loop dir; echo /dir >>.gitignore",
    "file becomes an ignored folder": "rm a.txt; mkdir a.txt; echo x >a.txt/x; echo /a.txt >>.gitignore",
    "file becomes folder": "rm a.txt; mkdir a.txt; echo x >a.txt/x",
    "folder becomes file": "rm -r dir; echo x >dir",
    "link becomes folder, staged": "rm link; mkdir link; echo x >link/x; git add -A; echo y >link/y",
    "folder becomes file, staged": "rm -r dir; echo x >dir; git add -A; rm dir; ln -s a.txt dir",
    "renamed, staged": "git mv a.txt renamed.txt; git mv dir moved",
    "renamed, not staged": "mv a.txt renamed.txt; mv dir moved",
    "renamed and changed": "git mv src/long.txt long.txt; echo more >>long.txt",
    "swapped names": "mv a.txt t; mv b.txt a.txt; mv t b.txt",
    "renamed by case only": "git mv a.txt A.txt; echo more >>A.txt",
    "names that differ by case": "echo x >Run.sh; git add Run.sh; echo y >>Run.sh; echo z >RUN.sh",
    "names with space, newline, tab, quote and backslash": (
        "echo 1 >'a b'; echo 2 >\"$(printf 'n\\nl')\"; echo 3 >\"$(printf 't\\tb')\"; echo 4 >'q\"'; echo 5 >'b\\s'; "
        "echo 6 >\"it's\"; git add 'a b' \"$(printf 'n\\nl')\"; echo more >>'a b'"
    ),
    "names that are no UTF-8": (
        'n="$(printf \'bad\\377name\')"; echo 1 >"$n"; git add "$n"; echo 2 >>"$n"; mkdir "d$n"; echo x >"d$n/x"'
    ),
    "decomposed names": "echo 1 >\"$(printf 'e\\314\\201')\"; echo 2 >\"$(printf '\\303\\251')\"",
    "names like options and patterns": (
        "echo 1 >-n; echo 2 >--help; echo 3 >':(glob)*'; echo 4 >'*'; git add -A; echo 5 >>./-n; rm ':(glob)*'"
    ),
    "names like ours": "mkdir carry.m; echo 1 >carry.m/0; echo 2 >carry.m/i0; git add carry.m/0; echo 3 >>carry.m/0",
    "detached HEAD": "git checkout -q --detach HEAD~1; echo more >>a.txt",
    "unpushed commits on a new branch": (
        "git checkout -q -b topic; echo 1 >>a.txt; git commit -qam local; echo 2 >>a.txt; "
        "git commit -qam local2; echo 3 >>a.txt"
    ),
    "unpushed commits on main": "echo 1 >>a.txt; git commit -qam local; echo 2 >>b.txt; git add b.txt",
    "an unpushed merge": (
        "git checkout -q -b s; echo 1 >s; git add s; git commit -qm s; git checkout -q main; echo 2 >m; git add m; "
        "git commit -qm m; git merge -q --no-edit s; echo x >>m"
    ),
    "stash present": "echo 1 >>a.txt; git stash -q; echo 2 >>b.txt",
    "intent to add": "echo 1 >new; git add -N new; echo e >exec; chmod +x exec; git add -N exec",
    "intent to add, empty": ": >new; git add -N new",
    "intent to add, deleted": "echo 1 >new; git add -N new; rm new",
    "intent to add of a file in HEAD": "git rm -q --cached a.txt; git add -N a.txt",
    "intent to add beside empty files": ": >e1; : >e2; git add e1; git add -N e2; rm e2",
    "assume-unchanged": "git update-index --assume-unchanged a.txt b.txt; echo more >>a.txt",
    "assume-unchanged, deleted": "git update-index --assume-unchanged a.txt; rm a.txt",
    "skip-worktree": "git update-index --skip-worktree a.txt b.txt c.txt; echo more >>a.txt; rm b.txt",
    "both flags": (
        "git update-index --assume-unchanged --skip-worktree a.txt; git update-index --skip-worktree a.txt; rm a.txt"
    ),
    "sparse cone": "git sparse-checkout set --cone dir; echo more >>dir/d.txt; echo new >dir/new",
    "sparse, not cone": "git sparse-checkout set --no-cone '/*' '!/src/'; echo more >>a.txt",
    "sparse, file present outside": (
        "git sparse-checkout set --cone dir; mkdir src; seq 2 500 >src/long.txt; echo x >>dir/d.txt"
    ),
    "sparse, changed file outside": (
        "git sparse-checkout set --cone dir; mkdir src; echo other >src/long.txt; echo x >src/new"
    ),
    "sparse, file present and seen by git": (
        "git sparse-checkout set --cone dir; mkdir src; seq 2 500 >src/long.txt; "
        "git add --sparse src/long.txt; git status -s >/dev/null"
    ),
    "sparse index": "git sparse-checkout set --cone --sparse-index dir; echo more >>dir/d.txt",
    "autocrlf true with mixed line ends": (
        "git config core.autocrlf true; printf 'x\\r\\ny\\r\\n' >a.txt; printf 'l\\nm\\n' >new; "
        "git add new 2>/dev/null; printf 'two\\r\\n' >b.txt"
    ),
    "autocrlf input": (
        "git config core.autocrlf input; printf 'x\\r\\ny\\n' >a.txt; git add a.txt 2>/dev/null; echo z >>b.txt"
    ),
    "CRLF in the repository": (
        "printf 'x\\r\\ny\\r\\n' >crlf; git add crlf; git commit -qm crlf; printf 'z\\r\\n' >>crlf; echo lf >lf"
    ),
    "text=auto and files with CRLF": (
        "printf '* text=auto\\n' >.gitattributes; git add .gitattributes; git commit -qm attributes; "
        "printf 'q\\r\\n' >a.txt; "
        "git add a.txt 2>/dev/null; printf 'two\\r\\n' >b.txt"
    ),
    "eol=crlf and ident": (
        "printf '*.txt eol=crlf\\n*.id ident\\n' >.gitattributes; printf '$Id$\\n' >x.id; git add .; "
        "git commit -qm attributes; "
        "rm a.txt x.id; git checkout -q a.txt x.id; printf 'more\\r\\n' >>a.txt; printf 'no id $Id: mine $\\n' >y.id"
    ),
    "UTF-16 encoding": (
        "printf '*.u working-tree-encoding=UTF-16LE eol=lf\\n' >.gitattributes; "
        "printf 'h\\000i\\000\\n\\000' >t.u; git add .; "
        "git commit -qm utf16; printf 'h\\000o\\000\\n\\000' >t.u"
    ),
    "untracked attributes": "printf '*.txt text eol=crlf\\n' >.gitattributes; printf 'x\\r\\n' >a.txt",
    "changed attributes": (
        "printf '*.txt text\\n' >.gitattributes; git add .gitattributes; git commit -qm attributes; "
        "printf '*.txt text eol=crlf\\n' >.gitattributes; printf 'two\\r\\n' >b.txt"
    ),
    "attributes in info": (
        "mkdir -p .git/info; printf '*.txt text eol=crlf\\n' >.git/info/attributes; printf 'x\\r\\n' >a.txt"
    ),
    "attributes in info against those of the files": (
        "printf '*.txt -text\\n' >.gitattributes; git add .gitattributes; git commit -qm attributes; mkdir -p .git/info; "
        "printf '*.txt text eol=crlf\\n' >.git/info/attributes; rm b.txt; git checkout -q b.txt; printf 'x\\r\\n' >a.txt"
    ),
    "excludes in info": "echo '*.tmp' >>.git/info/exclude; echo 1 >x.tmp; echo 2 >y",
    "LFS attributes without git-lfs": (
        "printf '*.bin filter=lfs diff=lfs merge=lfs -text\\n' >.gitattributes; "
        "printf 'version 1\\n' >p.bin; git add .; "
        "git commit -qm lfs; printf 'version 2\\n' >p.bin"
    ),
    "split index": "git update-index --split-index; echo more >>a.txt; git add a.txt; echo x >>b.txt",
    "untracked cache": "git update-index --untracked-cache; echo 1 >new; git status >/dev/null; echo 2 >new2",
    "file modes ignored": "git config core.fileMode false; echo more >>b.txt; chmod +x b.txt",
    "a hook that would tell": (
        'printf \'#!/bin/sh\\ntouch "%s/told"\\n\' "$TOP" >.git/hooks/post-index-change; '
        "chmod +x .git/hooks/post-index-change; "
        "cp .git/hooks/post-index-change .git/hooks/post-checkout; echo more >>a.txt; "
        "git -c core.hooksPath=/dev/null add a.txt; echo x >>a.txt"
    ),
    "fsmonitor": (
        'printf \'#!/bin/sh\\ntouch "%s/told"\\n\' "$TOP" >.git/watch; chmod +x .git/watch; echo more >>a.txt; '
        "git config core.fsmonitor .git/watch"
    ),
    "broken .gitmodules": "printf '[submodule \"x\\n broken' >.gitmodules; echo more >>a.txt",
    "conflicting merge": (
        "git checkout -q -b s; echo s >>a.txt; git commit -qam s; git checkout -q main; echo m >>a.txt; "
        "git commit -qam m; "
        "! git merge -q s >/dev/null; echo extra >>b.txt"
    ),
    "conflict of kinds": (
        "git checkout -q -b s; git rm -q a.txt; echo s >c.txt; git commit -qam s; git checkout -q main; "
        "echo m >>a.txt; "
        "echo m >c.txt; git commit -qam m; ! git merge -q s >/dev/null; echo half >c.txt"
    ),
}

# A linked worktree shares these with the clone: work that has others gets a repository of its own.
OWN = {"attributes in info", "attributes in info against those of the files"}
