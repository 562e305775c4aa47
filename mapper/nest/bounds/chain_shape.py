"""Which chains of a dimension are wanted, and tables of them (`mapper.nest.bounds.tile_chains` makes them)."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.arrays import Bools, Ints


@dataclass(frozen=True, slots=True)
class ChainShape:
    """Which chains of a dimension are wanted; the key of everything derived from it."""

    size: int
    """Units of the dimension."""
    last: int
    """The array's own tile TL [units]; 1 if a unit holds whole array tiles."""
    forced: tuple[bool, ...]
    """Per level 0 .. L-1: one trip only, T(l+1) = T(l)."""
    kept: tuple[bool, ...]
    """Whether a memory keeps a tile T1 .. T(L-1)."""
    counted: tuple[bool, ...]
    """Whether c(1) .. c(L) is seen by the costs. c(L) never matters if ``last`` is 1."""
    perfect: bool = False
    """Every tile divides the one outside it."""
    whole: bool = False
    """Whether costs also like tiles that are the whole dimension (they need no second buffer)."""
    smallest: tuple[int, ...] = ()
    """Smallest T1 .. T(L-1); empty for no limit."""
    allowed: tuple[tuple[int, ...] | None, ...] = ()
    """Sizes that constraints leave for T1 .. T(L-1), None for any; empty for no constraints."""
    trips: tuple[tuple[int, ...] | None, ...] = ()
    """Trips that constraints leave for levels 0 .. L-1, None for any; empty for no constraints."""
    coarse: tuple[int, ...] = ()
    """Sizes to look at, for a quick search that proves nothing; empty for all."""
    largest: tuple[int, ...] = ()
    """Largest T1 .. T(L-1); empty for no limit."""
    every: bool = False
    """No tile is taken out: costs also fall with larger tiles (halos)."""
    relaxed: bool = False
    """Rows that bound the chains (see `mapper.nest.bounds.tile_chains`); where constraints tie a tile, chains all the
    same."""

    @property
    def levels(self) -> int:
        """Levels with temporal loops."""
        return len(self.forced)

    @property
    def counts_array(self) -> bool:
        """Whether costs see the tiles that the array's own cut makes."""
        return self.last > 1 and self.counted[-1]

    @property
    def is_relaxed(self) -> bool:
        """Whether rows may bound chains: a tile that something ties has no range of equals to stand for."""
        tied = any(self.tied(level) for level in range(1, self.levels))
        return self.relaxed and not (self.perfect or self.coarse or tied)

    def tied(self, level: int) -> bool:
        """Return whether something but size and counts says what T(level) may be, so that no short cut chooses it."""
        sizes = bool(self.allowed) and self.allowed[level - 1] is not None
        trips = bool(self.trips) and (self.trips[level - 1] is not None or self.trips[level] is not None)
        return self.every or sizes or trips


@dataclass(frozen=True, slots=True)
class Chains:
    """Columns: one row per chain."""

    tiles: Ints
    """(levels - 1, rows): T1 .. T(L-1) [units]."""
    counts: Ints
    """(levels + 1, rows): c(0) .. c(L)."""
    exact: Bools
    """Whether a row is a chain; a relaxed one may only bound some."""

    def __len__(self) -> int:
        return int(self.tiles.shape[1]) if len(self.tiles) else int(self.counts.shape[1])

    def take(self, rows: Ints | Bools) -> Chains:
        """Return some rows."""
        return Chains(self.tiles[:, rows], self.counts[:, rows], self.exact[rows])
