"""A release is whole or not there, is what its hashes say, and is switched in one step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest

from decisioning.policy import decisions
from features.errors import MissingRelease, NotFound
from features.policy import segments
from serving.app import app_from_environment
from serving.policy_files import dump_sections, load_sections
from serving.releases import (
    CURRENT,
    DamagedRelease,
    OtherPolicy,
    Release,
    current,
    cut,
    release_of,
    releases,
    rollback,
    switch,
    verify,
)
from tests.serving.conftest import open_bank
from tests.serving.homes import AS_OF, INSTANT, build, publish_rows
from training.fitted import DamagedModel


def cut_again(home: Path, **changes: object) -> Release:
    given = {"segments": segments(), "decisions": decisions(), "now": INSTANT, "build": build(home)} | changes
    champions = {name: home / "champions" / name for name in ("response", "churn")}
    return cut(home, **({"champions": champions} | given))


def test_a_release_names_lineage_build_both_digests_and_the_hash_of_each_file(written_home: Path) -> None:
    release = current(written_home)
    manifest = release.manifest
    assert (manifest["lineage"], manifest["as_of"], manifest["champions"]) == (
        "ltest",
        "2025-12-31",
        ["churn", "response"],
    )
    assert manifest["segments_digest"] == segments().view(AS_OF).digest
    assert manifest["decisions_digest"] == decisions().view(INSTANT.date()).digest
    on_disk = {str(p.relative_to(release.folder)) for p in release.folder.rglob("*") if p.is_file()}
    assert set(manifest["files"]) | {"manifest.json"} == on_disk
    assert {"online.sqlite", "models/response/model.txt", "policy/decisions.json"} <= on_disk


def test_cutting_the_same_content_again_writes_nothing(home: Path) -> None:
    assert cut_again(home, now=INSTANT + timedelta(days=1)) == current(home)
    assert len(releases(home)) == 1


def test_a_new_publication_makes_a_new_release_and_the_old_one_stays_whole(home: Path) -> None:
    first = current(home)
    publish_rows(home, at=INSTANT, changes={"C-USUAL": {"mda": 1.0}})
    second = cut_again(home)
    assert [release.id for release in releases(home)] == [first.id, second.id]
    assert current(home) == first
    switch(home, second)
    assert current(home) == second
    verify(first)
    assert rollback(home) == first == current(home)
    with pytest.raises(NotFound, match="earlier"):
        rollback(home)


@pytest.mark.parametrize("name", ["online.sqlite", "models/churn/calibration.json", "policy/segments.json"])
def test_a_flipped_byte_in_any_file_is_found(home: Path, name: str) -> None:
    release = current(home)
    path = release.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedRelease, match=name):
        verify(release)
    with pytest.raises(DamagedRelease):
        switch(home, release)


def test_a_changed_manifest_is_found(home: Path) -> None:
    release = current(home)
    path = release.folder / "manifest.json"
    path.write_text(json.dumps(dict(release.manifest) | {"lineage": "lother"}))
    with pytest.raises(DamagedRelease, match="manifest"):
        verify(release_of(home, release.id))


def test_a_build_made_under_another_segments_policy_is_refused(home: Path) -> None:
    with pytest.raises(OtherPolicy, match="another segments policy"):
        cut_again(home, build=build(home, segments_digest="0" * 64))


def test_a_build_without_online_rows_cannot_be_released(home: Path) -> None:
    (home / "feast" / "online" / "ltest.sqlite").unlink()
    with pytest.raises(MissingRelease, match="online rows"):
        cut_again(home)


def test_a_home_without_pointer_has_no_release_and_an_unknown_id_is_told(home: Path) -> None:
    with pytest.raises(NotFound, match="r00001"):
        release_of(home, "r99999-none")
    with pytest.raises(NotFound):
        release_of(home, "../champions")
    (home / "releases" / CURRENT).unlink()
    with pytest.raises(MissingRelease):
        current(home)


def test_a_model_text_that_ends_its_process_never_becomes_a_release(home: Path) -> None:
    path = home / "champions" / "response" / "model.txt"
    text = path.read_text()
    path.write_text(text[: len(text) * 2 // 3].replace("threshold=", "threshold=1e999 "))
    with pytest.raises(DamagedModel):
        cut_again(home)
    assert len(releases(home)) == 1
    assert not list((home / "releases").glob(".draft*"))


def test_a_model_that_gives_other_probabilities_than_its_golden_rows_is_refused(home: Path) -> None:
    path = home / "champions" / "churn" / "calibration.json"
    knots = json.loads(path.read_text())
    path.write_text(json.dumps(knots | {"y": [y / 2 for y in knots["y"]]}))
    with pytest.raises(DamagedModel, match="other probabilities"):
        cut_again(home)


def test_policy_books_read_back_give_the_same_digest_on_every_day_of_change(written_home: Path) -> None:
    release = current(written_home)
    days = [AS_OF, INSTANT.date(), date(2030, 1, 1)]
    assert [release.segments().view(day).digest for day in days] == [segments().view(day).digest for day in days]
    assert [release.decisions().view(day).digest for day in days] == [decisions().view(day).digest for day in days]


def test_dates_and_whole_numbers_as_keys_survive_the_way_through_json() -> None:
    sections = {"caps": {"since": {date(2015, 1, 1): {100: 1, 65: 2}}, "unit": "level"}, "list": [1.5, None, True]}
    assert load_sections(dump_sections(sections)) == sections


@pytest.mark.slow
def test_a_pointer_read_while_it_is_switched_names_a_whole_release_each_time(home: Path) -> None:
    """Readers in this process, a writer in another that is killed at random: no torn and no missing pointer."""
    first = current(home)
    publish_rows(home, at=INSTANT, changes={"C-USUAL": {"mda": 1.0}})
    second = cut_again(home)
    names = {first.id, second.id}
    seen: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append((home / "releases" / CURRENT).read_text().strip())

    reader = threading.Thread(target=read)
    reader.start()
    code = (
        "import sys; from pathlib import Path; from serving.releases import switch, release_of\n"
        "home = Path(sys.argv[1])\n"
        "while True:\n    for name in sys.argv[2:]:\n        switch(home, release_of(home, name))"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    for seconds in (2.0, 2.3):
        writer = subprocess.Popen([sys.executable, "-c", code, str(home), *names], env=environment, cwd=home)
        try:
            writer.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            writer.kill()
        writer.wait()
    stop.set()
    reader.join()
    assert set(seen) <= names
    assert len(seen) > 1000
    verify(current(home))


@pytest.mark.parametrize("pointer", [b"", b"r00009-nothere", b"\xff\xfe", b"../elsewhere"])
def test_a_pointer_that_names_no_release_is_damage_and_not_an_unknown_id(home: Path, pointer: bytes) -> None:
    (home / "releases" / CURRENT).write_bytes(pointer)
    with pytest.raises(DamagedRelease, match="names no release"):
        current(home)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"id": "r1"}', "7"])
def test_a_damaged_manifest_is_told_with_503_and_a_sentence(home: Path, manifest: str) -> None:
    (current(home).folder / "manifest.json").write_text(manifest)
    for bank in open_bank(home):
        told = bank.ask("POST", "/v1/decisions", json={"customer_id": "C-USUAL", "channel": "APP"})
        assert (told.status_code, told.json()["type"]) == (503, "/problems/damaged-release")


def test_a_policy_that_is_being_drafted_does_not_touch_a_home_with_a_release(home: Path) -> None:
    (home / "policy" / "segments").mkdir(parents=True)
    (home / "policy" / "segments" / "bank.yaml").write_text("zone: [", "utf-8")
    for bank in open_bank(home):
        assert bank.decide()["release_id"] == current(home).id


def test_a_broken_policy_without_a_release_ends_the_server_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy" / "segments").mkdir(parents=True)
    (tmp_path / "policy" / "segments" / "bank.yaml").write_text("zone: [", "utf-8")
    monkeypatch.setenv("TIERCEL_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        app_from_environment()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("tiercel: ")
