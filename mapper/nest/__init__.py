"""Loop nests in general: any problem, any memory hierarchy, counts and costs of millions of mappings at once.

    NestProblem + Hierarchy ──► NestBatch (columns of tiles under one skeleton) ──► evaluate ──► NestCosts

`problem` says what is computed, `hierarchy` on what, `accounting` what counts how, `nest` holds mappings as columns,
`counts` has the closed forms of visit counts, `cost` turns them into words, cycles and energy.
"""
