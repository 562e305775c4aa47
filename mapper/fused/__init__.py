"""Fused groups of operators as loop nests: any number of operators under shared loops, on three memories.

    FusedGraph + FlatMachine ──► LoopTree ──► tree_costs (closed form; nothing is simulated)
                             └─► search_group (proved) ──► best_cut of a whole graph

`einsum` says what is computed, `flat_machine` where, `loop_tree` in which order and what stays where; `tree_costs`
counts accesses, time and energy of a tree, `tree_check` says why one cannot be. `leaf_tiles` and `leaf_choices` list
the nests of one operator under shared loops, `group_search` proves the best tree of a group, `cut` that of a graph.
"""
