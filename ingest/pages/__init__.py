"""The pages under /settings/: what administrators set up and examine. They write, so they live beside what they write."""
