"""The parts of the benchmarks: subjects, peers, a near-exact reference, and what is measured of them."""
