//! What one client did, and the table of what all of them can do.

use crate::tally::Tally;

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Login,
    Image,
    Index,
    BuildCache,
    Chart,
    Artifact,
    ZeroByte,
    HundredLayers,
    BigLayer,
    List,
    Delete,
}

use Operation::{
    Artifact, BigLayer, BuildCache, Chart, Delete, HundredLayers, Image, Index, List, Login,
    ZeroByte,
};

impl Operation {
    const ALL: [Self; 11] = [
        Login,
        Image,
        Index,
        BuildCache,
        Chart,
        Artifact,
        ZeroByte,
        HundredLayers,
        BigLayer,
        List,
        Delete,
    ];

    fn title(self) -> &'static str {
        match self {
            Login => "login",
            Image => "image",
            Index => "multi-arch index",
            BuildCache => "BuildKit cache index",
            Chart => "chart",
            Artifact => "artifact with referrers",
            ZeroByte => "zero-byte blob",
            HundredLayers => "100 layers",
            BigLayer => "2 GiB layer",
            List => "list",
            Delete => "delete",
        }
    }
}

enum Cell {
    Works,
    Failed,
    Cannot(&'static str),
}

/// One client's row, filled while it runs.
pub(crate) struct Sheet {
    name: &'static str,
    version: String,
    cells: Vec<(Operation, Cell)>,
}

impl Sheet {
    pub(crate) fn new(name: &'static str, version: &str) -> Self {
        Self {
            name,
            version: version.to_owned(),
            cells: Vec::new(),
        }
    }

    /// Does it, and keeps whether it worked.
    pub(crate) fn does(
        &mut self,
        tally: &mut Tally,
        operation: Operation,
        what: impl FnOnce() -> Result<(), String>,
    ) {
        let name = format!("{} {}: {}", self.name, self.version, operation.title());
        let worked = tally.check(&name, || what().map(|()| String::new()));
        let cell = if worked { Cell::Works } else { Cell::Failed };
        self.cells.push((operation, cell));
    }

    /// Keeps why the client cannot do it, whatever the server.
    pub(crate) fn cannot(&mut self, operations: &[Operation], reason: &'static str) {
        for &operation in operations {
            self.cells.push((operation, Cell::Cannot(reason)));
        }
    }

    fn cell(&self, operation: Operation) -> &'static str {
        match self.cells.iter().find(|(of, _)| *of == operation) {
            None => "·",
            Some((_, Cell::Works)) => "yes",
            Some((_, Cell::Failed)) => "FAILED",
            Some((_, Cell::Cannot(_))) => "no",
        }
    }

    /// Reasons with the operations they stand for, in the order of the columns.
    fn reasons(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for operation in Operation::ALL {
            let found = self.cells.iter().find(|(of, _)| *of == operation);
            let Some((_, Cell::Cannot(reason))) = found else {
                continue;
            };
            match reasons.iter_mut().find(|(have, _)| have == reason) {
                Some((_, titles)) => titles.push(operation.title()),
                None => reasons.push((reason, vec![operation.title()])),
            }
        }
        reasons
    }
}

/// The whole page. A cell that no client module filled is an error, except for the two columns that
/// only some clients are put through.
pub(crate) fn table(sheets: &[Sheet]) -> Result<String, String> {
    let mut page = String::from(INTRODUCTION);
    let titles: Vec<&str> = Operation::ALL.iter().map(|column| column.title()).collect();
    page.push_str(&format!("| client | version | {} |\n", titles.join(" | ")));
    page.push_str(&format!("|---|---|{}\n", "---|".repeat(titles.len())));
    for sheet in sheets {
        let cells: Vec<&str> = Operation::ALL.iter().map(|&of| sheet.cell(of)).collect();
        page.push_str(&format!(
            "| {} | {} | {} |\n",
            sheet.name,
            sheet.version,
            cells.join(" | ")
        ));
        let holes = Operation::ALL
            .iter()
            .filter(|of| !matches!(of, HundredLayers | BigLayer))
            .find(|&&of| sheet.cell(of) == "·");
        if let Some(hole) = holes {
            return Err(format!("{}: nothing is known of {hole:?}", sheet.name));
        }
    }
    page.push_str("\n## Why a client says no\n\n");
    for sheet in sheets {
        for (reason, titles) in sheet.reasons() {
            let titles = titles.join(", ");
            page.push_str(&format!(
                "- {} {}, {titles}: {reason}\n",
                sheet.name, sheet.version
            ));
        }
    }
    Ok(page)
}

const INTRODUCTION: &str = "\
# Clients

Written by `cargo xtask test` after every client did all of this against a real server over HTTPS, in a
network namespace of its own and with the CA installed as each client documents it: no insecure flag.

- **image** to **2 GiB layer**: pushed and pulled again; the digest pulled is the digest pushed, and the
  server's.
- **list**: the tags of a repository. **delete**: a tag or a manifest, gone afterwards.
- **no**: the client itself has no way to do it, whatever the registry; the reasons stand below.
- **·**: not tried with this client.

";

#[cfg(test)]
mod tests {
    use super::{Operation, Sheet, table};
    use crate::tally::Tally;

    fn sheet() -> Sheet {
        let mut tally = Tally::default();
        let mut sheet = Sheet::new("client", "1.0");
        sheet.does(&mut tally, Operation::Login, || Ok(()));
        sheet
    }

    #[test]
    fn a_cell_that_was_forgotten_is_an_error() {
        assert!(table(&[sheet()]).is_err());
    }

    #[test]
    fn a_reason_stands_once_with_all_it_explains() {
        let mut sheet = sheet();
        sheet.cannot(&Operation::ALL[1..], "it is a test");
        let page = table(&[sheet]).unwrap();
        assert_eq!(page.matches("it is a test").count(), 1);
        assert!(page.contains("| client | 1.0 | yes | no |"), "{page}");
    }
}
