"""What a ledger should hold, in plain dictionaries, and a machine that plays with both; for every database alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nemo_retriever_dagster.ledger import DocumentStatus, Ledger
from nemo_retriever_dagster.ledger_usage import UsageRow
from nemo_retriever_dagster.model import Document, Failure, Receipt, Usage

corpora = st.sampled_from(["c", "d"])
keys = st.sampled_from(["a.txt.1", "b.txt.2", "ü,'\";--.3"])
versions = st.sampled_from(["v1", "v2"])
generations = st.sampled_from(["g1", "g2"])
owners = st.sampled_from(["one", "two"])
texts = st.text(st.characters(exclude_categories=()), max_size=10)


@dataclass
class Model:
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
    receipts: dict[tuple[str, str], tuple[Receipt, str]] = field(default_factory=dict)
    intents: dict[tuple[str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)
    failures: dict[tuple[str, str], tuple[Failure, str]] = field(default_factory=dict)
    usage: dict[tuple[str, str, str], Usage] = field(default_factory=dict)
    leases: dict[tuple[str, str], str] = field(default_factory=dict)

    def status(self, place: tuple[str, str]) -> DocumentStatus:
        if place in self.failures and self.failures[place][1] == self.seen[place]:
            return DocumentStatus.FAILED
        if place in self.intents:
            return DocumentStatus.WRITING
        if place in self.receipts:
            return DocumentStatus.CURRENT if self.receipts[place][1] == self.seen[place] else DocumentStatus.CHANGED
        return DocumentStatus.NEW


def check_against_model(ledger: Ledger, model: Model) -> None:
    for corpus in ("c", "d"):
        here = sorted(key for name, key in model.seen if name == corpus)
        states = ledger.versions(corpus)
        assert ledger.versions(corpus, list(states)[:1]) == dict(list(states.items())[:1])
        assert sorted(states) == here
        for key in here:
            assert states[key].version == model.seen[corpus, key]
            assert states[key].status is model.status((corpus, key))
            kept = model.receipts.get((corpus, key))
            assert ledger.receipt(corpus, key) == (kept[0] if kept else None)
            assert states[key].committed_version == (kept[1] if kept else "")
        assert ledger.receipts(corpus) == [
            kept for (name, _), (kept, _) in sorted(model.receipts.items()) if name == corpus
        ]
        assert ledger.failures(corpus) == [
            kept for (name, _), (kept, _) in sorted(model.failures.items()) if name == corpus
        ]
        assert [(item.document, item.generation, item.details) for item in ledger.open_intents(corpus)] == [
            (key, *kept) for (name, key), kept in sorted(model.intents.items()) if name == corpus
        ]
        assert {(row.document, row.stage): row.usage for row in ledger.usage(corpus)} == {
            (key, stage): used for (name, key, stage), used in model.usage.items() if name == corpus
        }


class LedgerMachine(RuleBasedStateMachine):
    """Subclasses say in ``make`` where the ledger is."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.make()
        self.model = Model()

    def make(self) -> Ledger:
        raise NotImplementedError

    def teardown(self) -> None:
        self.ledger.close()

    @rule(corpus=corpora, seen=st.dictionaries(keys, versions))
    def remember(self, corpus: str, seen: dict[str, str]) -> None:
        self.ledger.remember(
            corpus, [Document(uri=f"/{key}", key=key, version=version) for key, version in seen.items()]
        )
        self.model.seen.update({(corpus, key): version for key, version in seen.items()})

    @rule(
        corpus=corpora,
        key=keys,
        generation=generations,
        details=st.dictionaries(texts, st.integers() | texts, max_size=2),
    )
    def intent(self, corpus: str, key: str, generation: str, details: dict[str, Any]) -> None:
        self.ledger.intent(corpus, key, generation, details)
        self.model.intents[corpus, key] = (generation, details)

    @rule(
        corpus=corpora,
        key=keys,
        generation=generations,
        rows=st.integers(0, 9),
        version=st.none() | versions,
        owner=st.none() | owners,
    )
    def commit(  # noqa: PLR0917 (drawn by hypothesis, by name)
        self, corpus: str, key: str, generation: str, rows: int, version: str | None, owner: str | None
    ) -> None:
        receipt = Receipt(
            document=key,
            uri=f"/{key}",
            sha256="s",
            collection="x",
            generation=generation,
            rows=rows,
            run_id="r",
            finished_at="t",
            counts={"pages": rows},
        )
        place = (corpus, key)
        mine = owner is None or self.model.leases.get(place) == owner
        assert self.ledger.commit(corpus, receipt, version=version, owner=owner) is mine
        if not mine:
            return
        if owner is not None:
            del self.model.leases[place]
        assert self.ledger.holder(corpus, key) == self.model.leases.get(place)
        self.model.seen.setdefault(place, "")
        self.model.receipts[place] = (receipt, self.model.seen[place] if version is None else version)
        self.model.failures.pop(place, None)
        if self.model.intents.get(place, ("",))[0] == generation:
            del self.model.intents[place]

    @rule(corpus=corpora, key=keys, attempts=st.integers(1, 3), cause=texts, version=st.none() | versions)
    def fail(self, corpus: str, key: str, attempts: int, cause: str, version: str | None) -> None:
        failure = Failure(
            document=key,
            uri=f"/{key}",
            stage="embed",
            category="data",
            kind="E",
            cause=cause,
            attempts=attempts,
            version=version or "",
        )
        place = (corpus, key)
        before = self.model.failures[place][0].attempts if place in self.model.failures else 0
        seen = self.model.seen.setdefault(place, "")
        total = replace(failure, attempts=before + attempts, version=version or seen)
        assert self.ledger.fail(corpus, failure) == total
        late = place in self.model.receipts and self.model.receipts[place][1] == seen != total.version
        if not late:
            self.model.failures[place] = (total, total.version)

    @rule(corpus=corpora, key=keys)
    def forget(self, corpus: str, key: str) -> None:
        self.ledger.forget(corpus, key)
        for kept in (self.model.seen, self.model.receipts, self.model.intents, self.model.failures):
            kept.pop((corpus, key), None)

    @rule(
        corpus=corpora,
        key=keys,
        stage=st.sampled_from(["embed", "extract"]),
        tokens=st.integers(0, 2**40),
        times=st.integers(1, 3),
    )
    def record_usage(self, corpus: str, key: str, stage: str, tokens: int, times: int) -> None:
        used = Usage(requests=1, tokens=tokens, seconds=0.5)
        row = UsageRow(document=key, run_id="r", stage=stage, engine="engine", usage=used)
        self.ledger.record_usage(corpus, [row] * times)
        place = (corpus, key, stage)
        self.model.usage[place] = sum([used] * times, self.model.usage.get(place, Usage()))

    @rule(corpus=corpora, key=keys, owner=owners)
    def claim(self, corpus: str, key: str, owner: str) -> None:
        holder = self.model.leases.setdefault((corpus, key), owner)
        assert self.ledger.claim(corpus, key, owner, 600) is (holder == owner)
        assert self.ledger.holder(corpus, key) == holder

    @rule(corpus=corpora, key=keys, owner=owners)
    def prolong(self, corpus: str, key: str, owner: str) -> None:
        assert self.ledger.prolong(corpus, key, owner, 600) is (self.model.leases.get((corpus, key)) == owner)

    @rule(corpus=corpora, key=keys, owner=owners)
    def release(self, corpus: str, key: str, owner: str) -> None:
        self.ledger.release(corpus, key, owner)
        if self.model.leases.get((corpus, key)) == owner:
            del self.model.leases[corpus, key]
        assert self.ledger.holder(corpus, key) == self.model.leases.get((corpus, key))

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger.open()

    @invariant()
    def same(self) -> None:
        check_against_model(self.ledger, self.model)
