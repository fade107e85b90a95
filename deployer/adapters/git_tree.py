"""Reading manifests out of a mirror, at a commit, below a path. Nothing is checked out, so nothing can be executed.

`ls-tree` names what is there and `cat-file --batch` answers the contents in one stream: 1,000 files in some 25 ms.
Sizes are asked for before any content is, so a blob of a gigabyte is refused without being read.
What is not read is never passed over: it is answered as a refusal, with its path, the reason and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployer.adapters.git_environment import MAX_FILE_BYTES
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand
from deployer.core.repository import MAX_PATH_LENGTH, SourceFile, SourceTree, shown

MAX_FILES = 20_000
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_REFUSALS = 100
CROWD = 16
"""Paths in one folder, from which on its tree is read."""

_SUFFIXES = (".yaml", ".yml", ".json")
LFS_HEADER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A line of `ls-tree`: the mode in octal, the object's kind and id, and its path from the repository's root."""

    mode: str
    kind: str
    oid: str
    path: str


Refusals = list[tuple[str, str]]


def ids_at(reader: GitCommand, root: str, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(id, kind) of what the tree `root` holds at each of these (checked) paths; those where nothing is that could be
    read are left out.

    Git looks each path up from the root, through every entry of the folders on the way: of folders that hold many of
    the paths the tree is read instead, once.
    """
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    crowded = {folder: mine for folder, mine in by_folder.items() if len(mine) >= CROWD}
    single = [path for folder, mine in by_folder.items() if folder not in crowded for path in mine]
    asked = dict.fromkeys([*single, *(folder for folder in crowded if folder)])
    known = _looked_up(reader, root, list(asked))
    found = {path: known[path] for path in single if path in known}
    known[""] = (root, "tree")
    trees = {folder: known[folder][0] for folder in crowded if known.get(folder, ("", ""))[1] == "tree"}
    contents = contents_of(reader, sorted(set(trees.values())))
    for folder, oid in trees.items():
        there = {name: (child, kind) for kind, name, child in children(contents[oid])}
        for path in crowded[folder]:
            if (entry := there.get(path.rpartition("/")[2].encode())) is not None:
                found[path] = entry
    return found


def _looked_up(reader: GitCommand, root: str, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A path has no line end: it was checked."""
    if not paths:
        return {}
    data = "".join(f"{root}:{path}\n" for path in paths).encode()
    lines = reader.run(["cat-file", "--batch-check"], data=data).decode("utf-8", "replace").split("\n")
    answers = ((path, line.split(" ")) for path, line in zip(paths, lines, strict=False))
    return {path: (words[0], words[1]) for path, words in answers if len(words) == 3 and words[1] in ("tree", "blob")}


def children(tree: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Kind (tree or blob), name and id of what is in a tree object; submodules are left out. An entry is its mode, a
    space, its name, NUL, and the 20 bytes of the id."""
    at = 0
    while at < len(tree):
        space = tree.index(b" ", at)
        end = tree.index(b"\0", space)
        mode = tree[at:space]
        if mode != b"160000":
            yield "tree" if mode == b"40000" else "blob", tree[space + 1 : end], tree[end + 1 : end + 21].hex()
        at = end + 21


def read_tree(reader: GitCommand, entry: TreeEntry, omitted: set[str]) -> SourceTree:
    """The manifests at or below the entry, sorted by path, and what is refused there.

    `omitted` are the ids of blobs that a fetch left out for their size; another that is missing is Corrupt.
    """
    refusals: Refusals = []
    manifests = [found for found in _below(reader, entry) if _is_read(found, refusals)]
    if len(manifests) > MAX_FILES:
        count = f"{len(manifests):,} manifest files; at most {MAX_FILES:,} are read: narrow the path"
        return SourceTree((), ((entry.path, f"holds {count}"),))
    sizes = sizes_of(reader, manifests, omitted)
    small = [found for found in manifests if _is_small(found, sizes, refusals)]
    total_bytes = sum(sizes[found.oid] for found in small)
    if total_bytes > MAX_TOTAL_BYTES:
        sentence = f"holds {total_bytes >> 20} MiB of manifests; at most {MAX_TOTAL_BYTES >> 20} MiB are read"
        return SourceTree((), ((entry.path, f"{sentence}: narrow the path"),))
    contents = contents_of(reader, sorted({found.oid for found in small}))
    files = [SourceFile(found.path, contents[found.oid]) for found in small if _is_whole(found, contents, refusals)]
    return SourceTree(tuple(sorted(files, key=lambda file: file.path)), _bounded(sorted(refusals)))


def _below(reader: GitCommand, entry: TreeEntry) -> Iterator[TreeEntry]:
    if entry.kind != "tree":
        return iter([entry])
    prefix = f"{entry.path}/" if entry.path else ""
    return entries_of(reader.run(["ls-tree", "-r", "-z", "--full-tree", entry.oid]), prefix)


def entries_of(output: bytes, prefix: str) -> Iterator[TreeEntry]:
    for line in output.split(b"\0"):
        if line:
            head, _, name = line.partition(b"\t")
            mode, kind, oid = head.decode("ascii").split()
            # Bytes that are not UTF-8 become lone surrogates, which `_is_read` refuses by name.
            yield TreeEntry(mode, kind, oid, prefix + name.decode("utf-8", "surrogateescape"))


def _is_read(entry: TreeEntry, refusals: Refusals) -> bool:
    reason = kind_refusal(entry)
    if not reason and entry.path.lower().endswith(_SUFFIXES):
        reason = name_refusal(entry.path)
        if not reason:
            return True
    if reason:
        refusals.append((shown(entry.path), reason))
    return False


def kind_refusal(entry: TreeEntry) -> str:
    if entry.mode == "120000":
        return "is a symbolic link, which is not followed: put the file itself here, or move the link out of the path"
    if entry.kind == "commit":
        return "is a submodule, which is not fetched: register its repository as another application"
    return ""


def name_refusal(path: str) -> str:
    if not path.isprintable():
        return "has a name with control characters, or not in UTF-8: rename it"
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        return "has a name that no checkout admits: rename it"
    if len(path) > MAX_PATH_LENGTH:
        return f"has a path of {len(path):,} characters; at most {MAX_PATH_LENGTH:,} are read: shorten it"
    return ""


def sizes_of(reader: GitCommand, entries: list[TreeEntry], omitted: set[str]) -> dict[str, int]:
    """Sizes in bytes by object id; without those of omitted blobs."""
    oids = sorted({entry.oid for entry in entries})
    if not oids:
        return {}
    output = reader.run(["cat-file", "--batch-check"], data=_lines(oids))
    answers = (line.split() for line in output.decode("ascii", "replace").splitlines())
    sizes = {answer[0]: int(answer[2]) for answer in answers if len(answer) == 3 and answer[1] == "blob"}
    if not omitted.issuperset(oid for oid in oids if oid not in sizes):
        raise _damaged(reader)
    return sizes


def _is_small(entry: TreeEntry, sizes: dict[str, int], refusals: Refusals) -> bool:
    size_bytes = sizes.get(entry.oid)
    if size_bytes is not None and size_bytes <= MAX_FILE_BYTES:
        return True
    size = "more than 1 MiB" if size_bytes is None else f"{size_bytes / (1 << 20):.1f} MiB"
    refusals.append((entry.path, f"has {size}; a manifest file has at most {MAX_FILE_BYTES >> 20} MiB: split it"))
    return False


def contents_of(reader: GitCommand, oids: list[str]) -> dict[str, bytes]:
    if not oids:
        return {}
    # Each object adds a line of some 60 bytes around its content.
    output = reader.run(["cat-file", "--batch"], data=_lines(oids), max_output_bytes=2 * MAX_TOTAL_BYTES)
    contents: dict[str, bytes] = {}
    at = 0
    for oid in oids:
        line_end = output.find(b"\n", at)
        answer = output[at:line_end].split()
        if line_end < 0 or len(answer) != 3 or answer[0].decode("ascii") != oid:
            raise _damaged(reader)
        start, size_bytes = line_end + 1, int(answer[2])
        contents[oid] = output[start : start + size_bytes]
        at = start + size_bytes + 1
    return contents


def _damaged(reader: GitCommand) -> GitFailed:
    return GitFailed("Corrupt", f"{reader.display}: its mirror here is damaged: the next fetch makes it anew")


def _is_whole(entry: TreeEntry, contents: dict[str, bytes], refusals: Refusals) -> bool:
    if contents[entry.oid].startswith(LFS_HEADER):
        refusals.append((entry.path, "is a Git LFS pointer, which is not resolved: commit the file itself"))
        return False
    return True


def _bounded(refusals: Refusals) -> tuple[tuple[str, str], ...]:
    more = len(refusals) - MAX_REFUSALS
    if more <= 0:
        return tuple(refusals)
    return (*refusals[:MAX_REFUSALS], ("", f"{more:,} more paths are refused for such reasons"))


def _lines(oids: list[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode("ascii")
