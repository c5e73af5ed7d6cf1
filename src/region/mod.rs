//! Regions.
pub struct Region;
