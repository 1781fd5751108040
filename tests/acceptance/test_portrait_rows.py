"""Promises about the portrait: tags that are defined, and seen by those who are cleared for them alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from features.policy import segments
from features.vocabulary import Sensitivity
from serving.app import create_app
from serving.key_file import ROLES, make_keys
from serving.settings import Settings
from tests.serving.homes import CUSTOMERS, write_home
from tests.serving.test_rights_api import change_key

POLICY = segments().view(date(2025, 12, 31))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("portraits") / "home"
    write_home(home, with_models=False)
    return home


def test_A09_every_tag_is_defined_and_seen_only_by_who_is_cleared_for_it(home: Path) -> None:
    for tag in POLICY.tags.values():
        assert tag.zh
        assert tag.en
        assert tag.owner
        assert tag.rule.columns()
        assert tag.expires_days >= 1
        assert tag.sensitivity in (Sensitivity.C1, Sensitivity.C2)
    sensitive = {name for name, tag in POLICY.tags.items() if tag.sensitivity == Sensitivity.C2}
    keys = make_keys(home)
    change_key(home, "rm", network="external")
    with TestClient(create_app(Settings(home=home))) as client:
        seen = {
            role: {
                tag
                for customer_id in CUSTOMERS
                for tag in client.get(
                    f"/v1/customers/{customer_id}", headers={"Authorization": f"Bearer {keys[role]}"}
                ).json()["tags"]
            }
            for role in ROLES
        }
    cleared = {"marketing", "compliance", "leader", "auditor", "service"}
    assert all(seen[role] == {"effective", "long_tail", "near_up", "payroll"} for role in cleared)
    assert all(seen[role] & sensitive == set() and seen[role] for role in set(ROLES) - cleared)
