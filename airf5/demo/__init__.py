"""The demonstration: one recording, told again and again as if it happened now."""
