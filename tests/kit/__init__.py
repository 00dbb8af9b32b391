"""What tests of several rooms share: a cluster, hands that edit in it, fakes."""
