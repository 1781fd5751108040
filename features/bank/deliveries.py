"""A delivery is written whole beside the bank that stands, and shown in one step.

    deliveries/<n>/bank/<table>/*.parquet, quarantine/<table>.parquet, home.json
    bank        a link to the bank of one delivery: the one pointer that moves
    quarantine  home.json  links through `bank`, so that they always belong to the bank that is seen

Who reads a bank holds its delivery, which a later one then removes. A process that is killed at any moment leaves the
old bank or the new one, with what was set aside of it and its clock; what it had begun is removed by the next. A home
whose `bank` is a plain folder (a simulated bank, a copy) is brought into this form first: there, for the moment between
two renames, no bank is seen, and the next delivery goes on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = "deliveries"
_THROUGH = ("quarantine", "home.json")  # seen through the bank, as bank/../quarantine


def standing(home: Path) -> Path:
    """The folder that holds the bank of `home`, what was set aside of it and its home.json; `home` if it is plain."""
    bank = home / "bank"
    return bank.resolve().parent if bank.is_symlink() else home


@contextmanager
def held(home: Path) -> Iterator[Path]:
    """The folder `bank` that stands now, whole for as long as the block runs, whatever is shown meanwhile.

    A build that begins before a delivery and ends after it reads one bank, not half of each.
    """
    while (folder := standing(home)) != home:
        with suppress(FileNotFoundError), _locked(folder, fcntl.LOCK_SH):
            if standing(home) == folder:
                yield folder / "bank"
                return
    yield home / "bank"  # a plain bank has no other place


@contextmanager
def delivering(home: Path) -> Iterator[Path]:
    """An empty folder to write a delivery to, shown in `home` when the block ends well, else as if never begun.

    One delivery of a home at a time, over processes; a second one waits. A killed one holds nothing.
    """
    is_new = not home.exists()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home, fcntl.LOCK_EX):
        made = _begun(home)
        try:
            yield made
            _show(home, made)
        except BaseException:
            _remove(home, is_new=is_new)
            raise
        _remove(home, is_new=False)


def carry_over(home: Path, made: Path, *, but: Collection[str]) -> list[str]:
    """Tables of the standing bank, all `but` these, become part of the delivery, no byte copied; their names."""
    old = standing(home)
    names = sorted(path.name for path in (old / "bank").glob("*") if path.is_dir() and path.name not in but)
    for name in names:
        shutil.copytree(old / "bank" / name, made / "bank" / name, copy_function=os.link)
        if (aside := old / "quarantine" / f"{name}.parquet").exists():
            os.link(aside, made / "quarantine" / aside.name)
    if (old / "home.json").exists():
        shutil.copyfile(old / "home.json", made / "home.json")
    return names


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """A lock of a folder, over processes; a killed one holds nothing."""
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, how)
        yield
    finally:
        os.close(folder)


def _begun(home: Path) -> Path:
    """The folder of a new delivery; what a killed one left is removed, a plain bank that it moved is seen again."""
    folder, bank = home / _FOLDER, home / "bank"
    if not bank.is_symlink() and not bank.exists() and (folder / "0000" / "bank").exists():
        _point(bank, f"{_FOLDER}/0000/bank")
    _remove(home, is_new=False)
    taken = [int(path.name) for path in folder.glob("[0-9]*")]
    made = folder / f"{max(taken, default=0) + 1:04d}"
    for part in ("bank", "quarantine"):
        (made / part).mkdir(parents=True)
    return made


def _show(home: Path, made: Path) -> None:
    _bring_to_disk(made)
    bank = home / "bank"
    if bank.exists() and not bank.is_symlink():
        _adopt(home)
    for name in _THROUGH:
        if not (home / name).is_symlink():
            _point(home / name, f"bank/../{name}")
    _point(bank, f"{_FOLDER}/{made.name}/bank")
    _bring_to_disk(home, deep=False)


def _adopt(home: Path) -> None:
    """A plain bank as the delivery 0000."""
    plain = home / _FOLDER / "0000"
    plain.mkdir(parents=True, exist_ok=True)
    for name in _THROUGH:
        if (home / name).exists() and not (home / name).is_symlink():
            (home / name).replace(plain / name)
            _point(home / name, f"bank/../{name}")
    (home / "bank").replace(plain / "bank")
    _point(home / "bank", f"{_FOLDER}/0000/bank")


def _point(link: Path, target: str) -> None:
    """`link` leads to `target` from now on, in one step."""
    beside = link.with_name(f".{link.name}.next")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


def _remove(home: Path, *, is_new: bool) -> None:
    """Every delivery but the one that is seen and those that are held; a home that was made for nothing goes too."""
    folder, seen = home / _FOLDER, standing(home)
    for path in folder.glob("*"):
        if path.resolve() != seen.resolve():
            with suppress(BlockingIOError), _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(path, ignore_errors=True)
    for empty in (folder, *([home] if is_new else [])):
        if empty.exists() and not any(empty.iterdir()):
            empty.rmdir()


def _bring_to_disk(folder: Path, *, deep: bool = True) -> None:
    for path in [folder, *(folder.rglob("*") if deep else [])]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
