//! Settings of the selection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[select]`: which pairs are kept, by the columns that they have then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// Conditions in SQL, each of which a pair must meet.
    pub r#where: Vec<String>,
    /// Of n pairs that meet them exactly floor(fraction n), the best by this column, then by uid; a
    /// pair must be in all.
    pub top: BTreeMap<String, f64>,
}

impl Select {
    /// What is wrong with it, as far as that is known without rows.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.r#where.is_empty() && self.top.is_empty() {
            let hint = "hint: where = [\"width >= 200\"], or top = { clip_similarity = 0.3 }";
            return Some(format!("[select] needs `where` or `top`\n{hint}"));
        }
        let (column, fraction) =
            self.top.iter().find(|(_, fraction)| !(**fraction > 0.0 && **fraction <= 1.0))?;
        let hint = "hint: 0.3 keeps the best 30%";
        Some(format!("`select.top.{column}` must be above 0, up to 1, not {fraction}\n{hint}"))
    }
}
