"""What the best loop nest can still cost: classes of loop orders, tile chains and their bounds."""
