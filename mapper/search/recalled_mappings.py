"""Mappings that another run searched and settled.

What a search proves is remembered by the process alone, for it brings all contenders with it. What was settled by
simulation is one hardware loop, which is kept for later processes as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.known_cycles import KnownCycles, is_lent, lent
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from mapper.recall.digests import MachineDigests, Recall, digest_of, prices_digest, problem_text
from mapper.search.mapping_result import MappingResult
from mapper.search.settle import Trial
from mapper.search.strategies import SearchStrategy
from simulator.memory.request_stream import MemoryState

MOST_SEARCHES = 16
"""Searches that a process remembers, some megabytes each."""

_SEARCHES: dict[str, MappingResult] = {}
"""Of this process, the oldest first; every run that recalls shares them."""


class RecalledMappings:
    """Mappings of matmuls on one machine, found by one strategy.

    Parameters
    ----------
    recall
        Where settled mappings are kept.
    """

    def __init__(self, spec: HardwareSpec, prices: EnergyModel, strategy: SearchStrategy, recall: Recall) -> None:
        self._spec = spec
        self._prices = prices
        self._strategy = strategy
        self._recall = recall
        self._machine = MachineDigests(spec)

    @cached_property
    def _decided_by(self) -> str:
        """What decides a search besides problem and machine; processes and progress do not."""
        strategy, options = self._strategy, self._strategy.options
        chosen = [strategy.goal, str(strategy.method), repr(options.budget), options.seed, options.finalists]
        return digest_of([prices_digest(self._prices), chosen])

    @property
    def _is_reproducible(self) -> bool:
        """Whether equal searches find the same: a method with a name, and not ended by a clock."""
        budget = self._strategy.options.budget
        return isinstance(self._strategy.method, str) and (budget is None or budget.seconds is None)

    def searched(self, signature: MatmulProblem, search: Callable[[], MappingResult]) -> MappingResult:
        """Return what the search of a problem with this signature found; ``search`` finds it if nobody did."""
        if not self._is_reproducible:
            return search()
        key = digest_of([self._machine.of_problem(signature), self._decided_by, problem_text(signature)])
        found = _SEARCHES.pop(key, None)
        if found is None:
            with self._lending(signature):
                found = search()
        _SEARCHES[key] = found
        while len(_SEARCHES) > MOST_SEARCHES:
            del _SEARCHES[next(iter(_SEARCHES))]
        return found

    def settled(
        self, problem: MatmulProblem, trial: Trial, memory: MemoryState, settle: Callable[[], MappingResult]
    ) -> MappingResult:
        """Return the mapping of a matmul that is about to run.

        Parameters
        ----------
        trial
            Tries mappings of it; the mapping that is recalled is confirmed as it was when it was settled.
        memory
            The caches that it finds.
        settle
            Searches and settles it if nobody did.
        """
        if not self._is_reproducible:
            return settle()
        machine, caches = self._machine.of_problem(problem), memory.fingerprint()
        key = digest_of(["settled", machine, self._decided_by, problem_text(problem), caches])
        text = self._recall.find(key)
        if text is None:
            with self._lending(problem.signature(self._spec.dma.max_request_bytes)):
                result = settle()
            self._recall.keep(key, _to_text(result))
            return result
        loop, was_tried = _from_text(text)
        if was_tried:
            trial.confirmed(loop)
        return MappingResult(MapSpace(problem, self._spec).nest(loop), "settled by another run")

    @contextmanager
    def _lending(self, signature: MatmulProblem) -> Iterator[None]:
        """Lend the search inside what others found of the same times, and keep what it finds."""
        if is_lent(signature):  # a contest may begin with the search
            yield
            return
        key = digest_of(["cycles", self._machine.of_problem(signature), problem_text(signature)])
        known = KnownCycles(signature, self._recall.find(key))
        with lent(known):
            yield
        if known.has_grown:
            self._recall.keep(key, known.text())


def _to_text(result: MappingResult) -> str:
    loop = hardware_loop_of(result.mapping)
    values = [*loop.tiles, loop.order, loop.double_buffered, sorted(loop.held)]
    return json.dumps({"loop": values, "tried": result.finalists is not None})


def _from_text(text: str) -> tuple[HardwareLoop, bool]:
    data = json.loads(text)
    tile_m, tile_k, tile_n, order, double_buffered, held = data["loop"]
    return HardwareLoop(tile_m, tile_k, tile_n, order, double_buffered, frozenset(held)), data["tried"]
