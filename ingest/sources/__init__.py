"""Where bytes come from: each module reads one kind of source and hands out pages."""
