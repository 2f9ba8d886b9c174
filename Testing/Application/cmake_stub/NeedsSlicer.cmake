message(FATAL_ERROR "this test runs in the real application only")
