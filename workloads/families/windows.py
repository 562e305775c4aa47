"""Which positions each layer sees, and which layers carry no positions: one rule per habit of the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from workloads.families.keys import Keys
from workloads.models.layers import Window

FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"

Types = list[str]


def layer_types(keys: Keys, layers: int) -> Types:
    """Return what each layer attends to.

    Raises
    ------
    GraphError
        For kinds of layers that are not attention over all, or some neighbouring, positions.
    """
    traits = keys.kind.traits
    rule = RULES[traits.window](keys, layers) if traits.window else None
    listed = keys.words("layer_types", layers) if keys.kind.reads_layer_types or traits.window == "full_only" else None
    types = listed or rule or [FULL] * layers
    strange = sorted(set(types) - {FULL, SLIDING, CHUNKED})
    if strange:
        source = "layer_types" if listed else f"layer_types is absent, and {keys.name} fills it in"
        raise keys.fail(f"{source}: {', '.join(strange)} is no softmax attention; such layers are not modelled")
    return types


def windows(keys: Keys, types: Types) -> list[Window | None]:
    """Return the window of each layer."""
    sizes: dict[str, Window] = {}
    if SLIDING in types:
        sizes[SLIDING] = _sliding(keys)
    if CHUNKED in types:
        sizes[CHUNKED] = Window("chunked", keys.size("attention_chunk_size"))
    return [sizes.get(kind) for kind in types]


def _sliding(keys: Keys) -> Window:
    match keys.kind.traits.window:
        case "modernbert":
            return Window("around", keys.size("local_attention", 2) // 2)
        case "modernbert_decoder":
            return Window("sliding", keys.size("local_attention", 2) // 2)
        case "gpt_neo":
            return Window("masked", keys.size("window_size"))
    return Window("sliding", keys.size("sliding_window"))


def without_rotary(keys: Keys, types: Types) -> list[bool]:
    """Return which layers carry no positions although the type has rotary ones."""
    match keys.kind.traits.no_rotary:
        case "full":
            return [kind == FULL for kind in types]
        case "full_beside_windows":
            beside = keys.maybe_size("sliding_window") is not None
            return [beside and kind == FULL for kind in types]
        case "list":
            return [flag == 0 for flag in rotary_flags(keys, len(types))]
    return [False] * len(types)


def rotary_flags(keys: Keys, layers: int) -> list[int]:
    """Return ``no_rope_layers``, in which, in spite of its name, 1 means rotary positions."""
    listed = keys.whole_numbers("no_rope_layers", None)
    interval = keys.size("no_rope_layer_interval")
    if not listed:
        return [int((index + 1) % interval != 0) for index in range(layers)]
    if len(listed) != layers:
        raise keys.fail(f"no_rope_layers has {len(listed)} entries for {layers} layers")
    return listed


def _used(keys: Keys) -> bool:
    """Whether a window is switched on: types with ``use_sliding_window`` have none without it."""
    return keys.flag("use_sliding_window", True) and keys.maybe_size("sliding_window", 0) is not None


def _where(layers: int, slides: Callable[[int], bool]) -> Types:
    return [SLIDING if slides(index) else FULL for index in range(layers)]


def _all(keys: Keys, layers: int) -> Types:
    return _where(layers, lambda _: keys.maybe_size("sliding_window") is not None)


def _all_if_used(keys: Keys, layers: int) -> Types:
    used = _used(keys)
    return _where(layers, lambda _: used)


def _from_max_window_layers(keys: Keys, layers: int) -> Types:
    used, first = _used(keys), keys.size("max_window_layers", 0)
    return _where(layers, lambda index: used and index >= first)


def _even_below_max_window_layers(keys: Keys, layers: int) -> Types:
    used, end = _used(keys), keys.size("max_window_layers", 0)
    return _where(layers, lambda index: used and index % 2 == 0 and index < end)


def _alternate(keys: Keys, layers: int) -> Types:
    keys.maybe_size("sliding_window")
    return _where(layers, lambda index: index % 2 == 0)


def _all_but_every(keys: Keys, layers: int) -> Types:
    traits = keys.kind.traits
    given = keys.value(traits.period_key) if traits.period_key else None
    if isinstance(given, str):
        return _lettered(keys, given, layers)
    period = keys.size(traits.period_key) if given is not None else traits.period
    if traits.no_rotary == "full_beside_windows" and keys.maybe_size("sliding_window") is None:
        return [FULL] * layers  # EXAONE's class; the others' have no use for a null
    return _where(layers, lambda index: (index + 1) % period != 0)


def _lettered(keys: Keys, pattern: str, layers: int) -> Types:
    """Read the pattern of EXAONE's own files, L for a local and G for a global layer."""
    if not pattern or set(pattern) - {"L", "G"}:
        raise keys.fail(f"{keys.kind.traits.period_key}={pattern!r:.40} must be a number, or letters L and G")
    return _where(layers, lambda index: pattern[index % len(pattern)] == "L" and index < layers - 1)


def _first_of_four_full(keys: Keys, layers: int) -> Types:
    return _where(layers, lambda index: index % 4 != 0)


def _without_rotary(keys: Keys, layers: int) -> Types:
    used, flags = _used(keys), rotary_flags(keys, layers)
    return _where(layers, lambda index: used and flags[index] == 0)


def _chunked(keys: Keys, layers: int) -> Types:
    chunk, flags = keys.maybe_size("attention_chunk_size"), rotary_flags(keys, layers)
    return [CHUNKED if flag and chunk is not None else FULL for flag in flags]


def _modernbert(keys: Keys, layers: int) -> Types:
    period = keys.maybe_size("global_attn_every_n_layers") or 3
    return _where(layers, lambda index: index % period != 0)


def _gpt_neo(keys: Keys, layers: int) -> Types:
    """Spell out ``attention_types``: pairs of a pattern and how often it is repeated."""
    pairs = keys.entries("attention_types", None) or []
    spelt: list[str] = []
    for pair in pairs:
        match pair:
            case [[*pattern], int(times)] if set(pattern) <= {"global", "local"}:
                spelt += [str(word) for word in pattern] * times
            case _:
                raise keys.fail("attention_types must hold pairs of a list of 'global' and 'local' and a number")
    if len(spelt) != layers:
        raise keys.fail(f"attention_types spells out {len(spelt)} layers, num_layers says {layers}")
    return _where(layers, lambda index: spelt[index] == "local")


def _full_only(keys: Keys, layers: int) -> Types:
    """Hybrids: the class fills in linear attention or state space unless the file lists its layers."""
    return ["linear_attention"] * layers


RULES: Mapping[str, Callable[[Keys, int], Types]] = MappingProxyType(
    {
        "all": _all,
        "all_if_used": _all_if_used,
        "from_max_window_layers": _from_max_window_layers,
        "even_below_max_window_layers": _even_below_max_window_layers,
        "alternate": _alternate,
        "all_but_every": _all_but_every,
        "first_of_four_full": _first_of_four_full,
        "without_rotary": _without_rotary,
        "chunked": _chunked,
        "modernbert": _modernbert,
        "modernbert_decoder": _modernbert,
        "gpt_neo": _gpt_neo,
        "full_only": _full_only,
    }
)
"""``window`` of a table -> rule for files without ``layer_types``."""
