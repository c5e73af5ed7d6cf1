//! placeholder
pub struct Change;
pub struct Site;
pub struct SiteKind;
pub struct Weakened;
pub struct Weakening;
