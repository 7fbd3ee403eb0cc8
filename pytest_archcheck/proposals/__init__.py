"""What ``archcheck init`` does: find a project's models, record them, and propose a test file with their figures."""
