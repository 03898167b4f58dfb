//! Every actor of the house, one room each.
