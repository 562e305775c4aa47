"""What decides a result, as digests: the keys by which results of other runs are recalled."""
