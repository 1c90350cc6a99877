//! The result of a check, and of all checks.

use std::fmt;

use serde::Serialize;

use crate::account::Failed;

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but needs attention.
    Warning,
    /// Does not work.
    Failed,
    /// Unknown: a permission is missing, or nothing answered.
    NotChecked,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
        }
    }
}

/// One check. Contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the check, the same in every run.
    pub check: &'static str,
    /// What was looked at, such as a table or a URL.
    pub subject: String,
    /// The result.
    pub result: Outcome,
    /// What was found.
    pub found: String,
    /// What to do; `None` if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check,
            subject: subject.into(),
            result: Outcome::Ok,
            found: found.into(),
            action: None,
        }
    }

    pub(super) fn warning(
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        Self {
            result: Outcome::Warning,
            action: Some(action.into()),
            ..Self::ok(check, subject, found)
        }
    }

    pub(super) fn failed(
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        Self {
            result: Outcome::Failed,
            ..Self::warning(check, subject, found, action)
        }
    }

    /// A check that was not possible, with the reason.
    pub(super) fn not_checked(
        check: &'static str,
        subject: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            result: Outcome::NotChecked,
            ..Self::ok(check, subject, why)
        }
    }

    /// A check whose call failed.
    pub(super) fn refused(check: &'static str, subject: impl Into<String>, failed: &Failed) -> Self {
        let action = failed
            .is_forbidden()
            .then(|| format!("allow {} to see it", failed.action));
        Self {
            action,
            ..Self::not_checked(check, subject, failed.to_string())
        }
    }
}

/// All checks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order of the documentation.
    pub checks: Vec<Check>,
}

impl Report {
    /// 0 if all checks are ok or warnings, 1 if one failed, 2 if none failed and one was not possible.
    pub fn exit_code(&self) -> u8 {
        let any = |outcome| self.checks.iter().any(|check| check.result == outcome);
        if any(Outcome::Failed) {
            1
        } else if any(Outcome::NotChecked) {
            2
        } else {
            0
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(
                f,
                "{:<11}  {:<22} {}: {}",
                check.result.as_str(),
                check.check,
                check.subject,
                check.found
            )?;
            if let Some(action) = &check.action {
                writeln!(f, "{:<11}  {:<22} → {action}", "", "")?;
            }
        }
        let count = |outcome| self.checks.iter().filter(|check| check.result == outcome).count();
        writeln!(
            f,
            "{} ok, {} warnings, {} failed, {} not checked",
            count(Outcome::Ok),
            count(Outcome::Warning),
            count(Outcome::Failed),
            count(Outcome::NotChecked)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_decides_the_exit_code_before_a_missing_right() {
        let ok = Check::ok("a", "b", "c");
        let warning = Check::warning("a", "b", "c", "d");
        let failed = Check::failed("a", "b", "c", "d");
        let unknown = Check::not_checked("a", "b", "c");
        for (checks, code) in [
            (vec![ok.clone(), warning.clone()], 0),
            (vec![ok.clone(), unknown.clone()], 2),
            (vec![unknown, failed, ok], 1),
        ] {
            assert_eq!(Report { checks }.exit_code(), code);
        }
    }
}
