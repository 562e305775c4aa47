"""Loop nests in general: any problem, any memory hierarchy, counts and costs of millions of mappings at once.

    NestProblem + Hierarchy ──► NestBatch (columns of tiles under one skeleton) ──► evaluate ──► NestCosts
    NestSpace (axes, members as rows of integers) ──► the same, for every member
    ReuseStructure + OrderClass + ChainTable ──► bounds of all members at once

`model` says what a nest costs: `problem`, `hierarchy`, `accounting` (who pays for what), `batch` (mappings as columns),
`transfers` (words that cross between copies), `hoisting` (which loops count for which transfer), `tile_counts` (ragged
chains of tiles), `visit_columns`, `capacity`, `cost`, `access_counts` (integers by memory), `legality` and `fit`.
`mapspace` says which nests there are: `axes`, `constraints`, `variants`, `members`, draws, and their face `nest_space`.
`bounds` says what the best of them can still cost: `order_classes`, `tile_chains`, `chain_tables`, `combine`, `pareto`.
Each of the three rooms imports only those before it.
"""
