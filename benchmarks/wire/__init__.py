"""The far sides and processes that benchmarks start; each is a module that runs until SIGTERM."""
