"""From program items to command queues and DMA requests."""
