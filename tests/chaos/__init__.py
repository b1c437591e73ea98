"""The chaos suite, `make chaos`: the whole product under kills, stops, full disks and sources that misbehave."""
