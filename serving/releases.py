"""Releases: what serving stands on, cut whole, checked by hash, switched in one step, rolled back.

    releases/<id>/manifest.json             SHA-256 of everything below, lineage, build, both digests, code version
    releases/<id>/models/<name>/            champion files, copied: the registry may be gone when a decision is replayed
    releases/<id>/challengers/<name>/       a challenger's, if one is shipped
    releases/<id>/policy/<book>.json        both policy books, all dates
    releases/<id>/online.sqlite             the packed rows, copied: the next morning publishes others under their name
    releases/CURRENT                        the id that new requests pin

A release is written beside its name and moved there, so that it is whole or not there at all; the pointer is replaced,
never rewritten. A reader that has pinned a release keeps it: old releases stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from decisioning.policy import DecisionsPolicy
from features import profiles
from features.errors import BadRequest, MissingRelease, NotFound, NotReady
from features.policy import SegmentsPolicy
from features.policy_book import PolicyBook
from features.profiles import Build
from serving.policy_files import book_from, dump_sections
from serving.provenance import code_version, lightgbm_version
from serving.settings import zone_of
from serving.shipping import CHAMPIONS, Beside, copy_models, untried
from serving.trial import try_models

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
ONLINE = "online.sqlite"
_CHUNK = 1 << 20
_FACTS = {
    "id", "number", "content", "files", "lineage", "as_of", "champions", "segments_digest", "decisions_digest",
    "lightgbm_version",
}  # fmt: skip


class DamagedRelease(NotReady):
    """A file of a release is not the one that was released."""

    slug = "damaged-release"


class OtherPolicy(BadRequest):
    """The build was made under another segments policy than the one to release."""

    slug = "other-segments-policy"


@dataclass(frozen=True, slots=True)
class Release:
    """One release, by its folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.manifest["id"])

    @property
    def lineage(self) -> str:
        return str(self.manifest["lineage"])

    @property
    def as_of(self) -> date:
        return date.fromisoformat(self.manifest["as_of"])

    @property
    def online_path(self) -> Path:
        """The packed online rows this release reads."""
        return self.folder / ONLINE

    @property
    def epoch(self) -> str:
        """Lineage and decisions digest: what the noise of a day is drawn for."""
        return f"{self.lineage}:{str(self.manifest['decisions_digest'])[:16]}"

    @property
    def challengers(self) -> tuple[str, ...]:
        """The champions whose place a challenger takes, none without one."""
        return tuple((self.manifest.get("challenger") or {"models": ()})["models"])

    @property
    def challenger_share(self) -> float:
        """The share of customers for whom the challenger decides, 0 in shadow."""
        return float((self.manifest.get("challenger") or {"share": 0.0})["share"])

    def shift(self, name: str) -> float:
        """What recalibration adds to the logits of the champion `name`."""
        return float(self.manifest.get("recalibration", {}).get(name, {"shift": 0.0})["shift"])

    def model_folder(self, name: str, *, of: str = CHAMPIONS) -> Path | None:
        """Files of the champion `name`, or of its challenger; None where the release has none."""
        held = self.manifest["champions"] if of == CHAMPIONS else self.challengers
        return self.folder / of / name if name in held else None

    def segments(self) -> PolicyBook[SegmentsPolicy]:
        return book_from(SegmentsPolicy, self.folder / "policy" / "segments.json")

    def decisions(self) -> PolicyBook[DecisionsPolicy]:
        return book_from(DecisionsPolicy, self.folder / "policy" / "decisions.json")


def cut(
    home: Path,
    *,
    segments: PolicyBook[SegmentsPolicy],
    decisions: PolicyBook[DecisionsPolicy],
    champions: Mapping[str, Path],
    now: datetime,
    build: Build | None = None,
    beside: Beside | None = None,
) -> Release:
    """A new release of the newest build known at `now`, or of `build`, with the champions' folders and what `beside`
    names; not switched to.

    Where the newest release holds the very same content it is given back and nothing is written. Raises MissingBuild,
    MissingRelease where the online rows are missing, OtherPolicy where the build knows another segments policy, and
    DamagedModel where a champion does not survive its trial.
    """
    build = build or profiles.latest(home, now)
    known = segments.view(build.as_of)
    digest, day = known.digest, now.astimezone(zone_of(known.bank.zone)).date()
    if digest != build.segments_digest:
        raise OtherPolicy(
            f"build {build.lineage}/{build.as_of} was made under another segments policy",
            value=build.segments_digest[:12], allowed=digest[:12],
            todo="run `tiercel build` under the policy to release",
        )  # fmt: skip
    online = home / "feast" / "online" / f"{build.lineage}.sqlite"
    if not online.exists():
        raise MissingRelease("the build has no online rows", value=build.lineage, todo="publish the build first")
    facts = {
        "lineage": build.lineage, "as_of": build.as_of.isoformat(), "build_digest": build.digest,
        "segments_digest": digest, "decisions_digest": decisions.view(day).digest,
        "champions": sorted(champions), **(beside or Beside()).facts(),
        "code_version": code_version(), "lightgbm_version": lightgbm_version(),
    }  # fmt: skip
    with _locked(home / "releases"):
        draft = _draft(home, online, champions, beside or Beside())
        (draft / "policy" / "segments.json").write_text(dump_sections(segments.sections), "utf-8")
        (draft / "policy" / "decisions.json").write_text(dump_sections(decisions.sections), "utf-8")
        try:
            return _publish(home, draft, facts, now)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def releases(home: Path) -> list[Release]:
    """Every release of the home, oldest first."""
    found = [_read(path.parent) for path in (home / "releases").glob(f"[!.]*/{MANIFEST}")]
    return sorted(found, key=lambda release: int(release.manifest["number"]))


def release_of(home: Path, release_id: str) -> Release:
    """The release of that id; raises NotFound."""
    folder = home / "releases" / release_id
    if Path(release_id).name != release_id or not (folder / MANIFEST).exists():
        raise NotFound("unknown release", value=release_id, allowed=[release.id for release in releases(home)])
    return _read(folder)


def current(home: Path) -> Release:
    """The release that requests pin now; raises MissingRelease, or DamagedRelease where the pointer names none."""
    pointer = home / "releases" / CURRENT
    if not pointer.exists():
        raise MissingRelease("nothing has been released", todo="run `tiercel release cut`",
                             zh="还没有任何发布，请运行 tiercel release cut")  # fmt: skip
    name = pointer.read_bytes().decode("ascii", "replace").strip()
    try:
        return release_of(home, name)
    except NotFound as error:
        raise DamagedRelease("the pointer names no release", value=name[:80],
                             todo="`tiercel release list` names them; cut or roll back",
                             zh="当前指向的发布不存在，请回退或重新发布") from error  # fmt: skip


def switch(home: Path, release: Release) -> None:
    """Point new requests to `release`, once its files are those of its manifest; one `os.replace`."""
    verify(release)
    pointer = home / "releases" / CURRENT
    draft = pointer.with_name(f".{CURRENT}.{os.getpid()}")
    draft.write_text(release.id + "\n", "ascii")
    _sync(draft)
    draft.replace(pointer)
    _sync(pointer.parent)


def rollback(home: Path) -> Release:
    """Switch to the release before the current one, and give it; raises NotFound where there is none."""
    now_at = int(current(home).manifest["number"])
    earlier = [release for release in releases(home) if int(release.manifest["number"]) < now_at]
    if not earlier:
        raise NotFound("there is no earlier release to roll back to")
    switch(home, earlier[-1])
    return earlier[-1]


def verify(release: Release) -> None:
    """Hash every file of a release again; raises DamagedRelease with the first that differs or is missing."""
    for name, digest in release.manifest["files"].items():
        path = release.folder / name
        if not path.is_file() or sha256_of(path) != digest:
            raise DamagedRelease("a file of the release is not the one released", value=f"{release.id}/{name}",
                                 todo="roll back, or cut the release again",
                                 zh="发布中的文件已被改动，请回退或重新发布")  # fmt: skip
    if _content(release.manifest) != release.manifest["content"]:
        raise DamagedRelease("the manifest was changed after the release", value=release.id, todo="roll back",
                             zh="发布清单在发布之后被改动，请回退")  # fmt: skip


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _draft(home: Path, online: Path, champions: Mapping[str, Path], beside: Beside) -> Path:
    """A folder with rows and models copied, under a name that no reader looks at."""
    draft = home / "releases" / f".draft.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "policy").mkdir(parents=True)
    copy_models(draft, champions, beside)
    shutil.copyfile(online, draft / ONLINE)
    return draft


def _publish(home: Path, draft: Path, facts: Mapping[str, Any], now: datetime) -> Release:
    files = {str(path.relative_to(draft)): sha256_of(path) for path in sorted(draft.rglob("*")) if path.is_file()}
    manifest: dict[str, Any] = {**facts, "files": files}
    manifest["content"] = _content(manifest)
    kept = releases(home)
    if kept and kept[-1].manifest["content"] == manifest["content"]:
        return kept[-1]
    number = int(kept[-1].manifest["number"]) + 1 if kept else 1
    try_models(draft / folder for folder in untried(manifest, [release.manifest for release in kept]))
    manifest |= {
        "id": f"r{number:05d}-{manifest['content'][:8]}",
        "number": number,
        "created_at": now.isoformat(),
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", "utf-8")
    for path in [*draft.rglob("*"), draft]:
        _sync(path)
    folder = home / "releases" / str(manifest["id"])
    draft.replace(folder)
    _sync(folder.parent)
    return _read(folder)


def _content(manifest: Mapping[str, Any]) -> str:
    """Digest of what a release holds, whatever its number and hour."""
    held = {name: value for name, value in manifest.items() if name not in {"id", "number", "created_at", "content"}}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _read(folder: Path) -> Release:
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        missing = _FACTS - set(manifest)
    except (TypeError, ValueError) as error:
        raise DamagedRelease("the manifest cannot be read", value=folder.name, todo="roll back",
                             zh="发布清单无法读取，请回退") from error  # fmt: skip
    if missing:
        raise DamagedRelease("the manifest lacks what it must state", value=sorted(missing)[0], todo="roll back",
                             zh="发布清单缺少必需的内容，请回退")  # fmt: skip
    return Release(folder, manifest)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer of releases at a time, over processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
