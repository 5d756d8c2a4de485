"""Stand-ins and servers shared by the tests."""
