"""A hundred documents of which three are corrupt, through a running webserver and daemon: what the UI is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from servers.dagster_site import BROKEN, GOOD, NOTES, Site

from nemo_retriever_dagster.ledger import Ledger

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

_EVENTS = """query($k: AssetKeyInput!, $p: [String!]) { assetOrError(assetKey: $k) { ... on Asset {
    assetMaterializations(partitions: $p, limit: 10) { runId partition metadataEntries { label __typename
        ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } ... on PathMetadataEntry { path }
        ... on MarkdownMetadataEntry { mdStr } } }
    assetObservations(partitions: $p, limit: 10) { runId partition metadataEntries { label
        ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } ... on PathMetadataEntry { path } } } } } }"""


def _facts(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of the latest of ``events``."""
    values = ("intValue", "text", "path", "mdStr")
    entries = events[0]["metadataEntries"]
    return {e["label"]: next((e[v] for v in values if v in e), None) for e in entries}


def test_the_sensor_s_run_leaves_97_green_and_3_red_and_only_the_3_run_again(site: Site) -> None:
    site.discover()
    runs = site.settled(1)[-1:]
    assert [run["status"] for run in runs] == ["FAILURE"], site.failed_runs()
    (run,) = runs

    asset = site.asset()
    assert asset["partitionStats"] == {
        "numMaterialized": GOOD, "numFailed": len(BROKEN), "numPartitions": GOOD + len(BROKEN), "numMaterializing": 0,
    }  # fmt: skip
    statuses = asset["assetPartitionStatuses"]
    failed = statuses["failedPartitions"]
    assert len(statuses["materializedPartitions"]) == GOOD
    assert statuses["unmaterializedPartitions"] == failed  # none is merely missing
    assert sorted(key[:8] for key in failed) == [f"note-{n:03}" for n in BROKEN]
    _each_tells_its_truth(site, failed, statuses["materializedPartitions"])
    _only_the_failed_run_again(site, failed, run["runId"])


def _each_tells_its_truth(site: Site, failed: list[str], good: list[str]) -> None:
    bad = site.ask(_EVENTS, k=NOTES, p=failed)["assetOrError"]
    assert bad["assetMaterializations"] == []
    for key in failed:
        events = [event for event in bad["assetObservations"] if event["partition"] == key]
        facts = _facts(events)
        assert (facts["stage"], facts["category"], facts["attempts"]) == ("extract", "data", 1)
        assert facts["cause"]
        assert facts["hint"]
        assert facts["source"].endswith(".pdf")
    for key in good[:2]:
        facts = _facts(site.ask(_EVENTS, k=NOTES, p=[key])["assetOrError"]["assetMaterializations"])
        assert (facts["rows"], facts["chunks"], facts["dagster/partition_row_count"]) == (1, 1, 1)
        assert "newton metres" in facts["preview"]


def _only_the_failed_run_again(site: Site, failed: list[str], first: str) -> None:
    before = _last_runs(site)
    site.backfill(failed, NOTES)
    runs = site.settled(3)  # the neighbours in one run, the third in another
    assert len(runs) == 3

    after = _last_runs(site)
    assert {key for key in after if after[key] != before[key]} == set(failed)
    assert Counter(run == first for run in after.values()) == {True: GOOD, False: len(BROKEN)}
    with Ledger(f"sqlite:///{site.root / 'state/ledger.db'}") as ledger:
        assert {f.document: f.attempts for f in ledger.failures("notes")} == dict.fromkeys(failed, 2)
        assert {receipt.run_id for receipt in ledger.receipts("notes")} == {first}
        tried = {row.document for row in ledger.usage("notes") if row.run_id != first}
    assert tried <= set(failed)
    assert site.asset()["partitionStats"]["numMaterialized"] == GOOD


@pytest.mark.slow
def test_a_downstream_asset_with_its_own_policy_gets_the_good_documents_only(site: Site) -> None:
    site.discover()
    keys = sorted([*site.statuses()["materializedPartitions"], *site.statuses()["failedPartitions"]])[9:15]
    site.backfill(keys, NOTES, {"path": ["digest"]})
    bad = {key for key in keys if int(key[5:8]) in BROKEN}
    assert bad
    found = site.statuses("digest")
    assert set(found["materializedPartitions"]) == set(keys) - bad
    assert found["failedPartitions"] == []


def _last_runs(site: Site) -> dict[str, str]:
    """Return the run that last said something of each partition."""
    query = """query($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {
        assetMaterializations(limit: 1000) { runId partition timestamp }
        assetObservations(limit: 1000) { runId partition timestamp } } } }"""
    found = site.ask(query, k=NOTES)["assetOrError"]
    events = sorted(found["assetMaterializations"] + found["assetObservations"], key=lambda e: int(e["timestamp"]))
    return {event["partition"]: event["runId"] for event in events}
