"""Carrying uncommitted work: a dirty worktree becomes a parcel here and the same dirty worktree there.

`pack.pack` changes nothing in the repository it packs: git runs in a private folder that borrows the repository's objects.
`restore.restore` makes a new worktree from a parcel and proves by itself that it is equal, or says what is not. What
a parcel leaves out is always listed.
"""
