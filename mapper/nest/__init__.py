"""Loop nests in general: any problem, any memory hierarchy, counts and costs of millions of mappings at once.

    NestProblem + Hierarchy ──► NestBatch (columns of tiles under one skeleton) ──► evaluate ──► NestCosts

What is computed: `problem`, `hierarchy`, `accounting` (who pays for what), `nest` (mappings as columns).
How it is counted: `counts` (ragged chains of tiles), `moves` (words that cross between copies), `routes` (which loops
count for which move), `walk` (their columns), `capacity`, `cost` (cycles and energy), `tally` (integers by memory).
What may be: `legality` (rules of any nest), `fit` (capacities), `space`, `constraints` and `sampler` (the mapspace).
"""
