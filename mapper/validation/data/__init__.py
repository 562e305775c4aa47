"""Measured cycles that ship with the package.

``gemmini_rtl.csv``: 1,622 rows, our own measurements of two public SoCs with Gemmini, run unmodified in Verilator with
bare-metal programs; the processor's cycle counter was read around the commands, each row ends with a fence.

=================================  =====================================================================================
``gemmini_config``                 SoC
=================================  =====================================================================================
``default_16x16_sp256K_acc64K``    standard GemminiRocketConfig, Gemmini v0.7.1; Verilog of
                                   asmara30/Chipyard-Generated-Files, f9fb3012
``chip_16x16_sp64K_acc32K``        Gemmini's chip configuration; Verilog of
                                   Lefteris-B/Single_inorder_Core_Neural_Accel_BF16
``...+norm_timing_model``          the first SoC with a timing-only state machine in place of its pass-through queue: a
                                   hybrid, not RTL, for softmax and LayerNorm
=================================  =====================================================================================

Memory: fixed latency (column ``dram_latency``, cycles), then one 8-byte beat per cycle. ``cycles`` is measured,
``state`` says what the caches held (``cold``, ``repeat``, ``l2warm``, ``no_dram``), ``tile_*`` are blocks of 16, and
``exe_active`` to ``wdma_bytes`` are the accelerator's own counters. Noise is about 2 %. The rows stand in the order in
which they were measured, which matters: what ran before is in the caches. Two series: in the second, which begins where
the first SoC comes back, every program first ran two small products.

The FireSim rows (ucb-bar/dosa) are another project's data and are not included.
"""
