"""Which loop nests there are: tiles, orders, copies and spatial choices, with their constraints."""
