"""Conformance suites: pytest classes that test what every implementation of an interface promises."""
