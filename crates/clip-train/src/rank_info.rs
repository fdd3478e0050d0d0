//! Which process this is, as launchers pass it: torchrun, Slurm, MPI, or `--nproc`.

use crate::{Error, Result};

/// This process among those that train together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankInfo {
    /// This process, from 0.
    pub rank: usize,
    /// This process among those on its machine.
    pub local_rank: usize,
    /// All processes.
    pub world: usize,
    /// Processes on this machine, where it is known.
    pub local_world: Option<usize>,
    /// Where they meet.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// Whether the launcher hosts the store.
    pub agent_store: bool,
    /// How often the launcher has started the group again.
    pub attempt: String,
}

/// Names of a value in the order in which they are asked for: open_clip's (`world_info_from_env`).
const RANK: [&str; 4] = ["RANK", "PMI_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"];
const WORLD: [&str; 4] = ["WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"];
const LOCAL_RANK: [&str; 4] =
    ["LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"];
const LOCAL_WORLD: [&str; 4] =
    ["LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE"];

impl RankInfo {
    /// Whether a launcher's variables say how many processes there are, be it one.
    pub fn is_launched(variable: &dyn Fn(&str) -> Option<String>) -> bool {
        WORLD.iter().any(|name| variable(name).is_some())
    }

    /// Reads the launcher's variables; nothing when this process trains alone. `url` is
    /// `--dist-url`: `env://`, or `tcp://host:port`.
    ///
    /// # Errors
    /// When some of them are there and others are missing, or one is not a number.
    pub fn detect(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |names: [&str; 4]| -> Result<Option<usize>> {
            let found = names.iter().find_map(|name| Some((name, variable(name)?)));
            let Some((name, text)) = found else { return Ok(None) };
            let value = text.trim().parse();
            value.map(Some).map_err(|_| Error::Recipe(format!("{name}={text:?}: not a number")))
        };
        let world = number(WORLD)?.unwrap_or(1);
        // A Slurm allocation of many tasks is no group unless srun has started this one.
        let under_slurm = variable("SLURM_STEP_ID").is_some() || variable("RANK").is_some();
        let by_slurm = variable("WORLD_SIZE").is_none() && variable("PMI_SIZE").is_none();
        if world <= 1 || (by_slurm && variable("SLURM_NTASKS").is_some() && !under_slurm) {
            return Ok(None);
        }
        let rank = number(RANK)?.ok_or_else(|| {
            Error::Recipe(format!("{world} processes, but none of {} is set", RANK.join(", ")))
        })?;
        if rank >= world {
            return Err(Error::Recipe(format!("rank {rank} of {world} processes: out of range")));
        }
        let (host, port) = meeting(url, variable)?;
        Ok(Some(Self {
            rank,
            local_rank: number(LOCAL_RANK)?.unwrap_or(rank),
            world,
            local_world: number(LOCAL_WORLD)?,
            host,
            port,
            agent_store: variable("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
            attempt: variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".into()),
        }))
    }
}

fn meeting(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(String, u16)> {
    let wrong = |what: String| {
        Error::Recipe(format!(
            "{what}\nhint: MASTER_ADDR and MASTER_PORT, or --dist-url tcp://HOST:PORT"
        ))
    };
    if let Some(rest) = url.strip_prefix("tcp://") {
        let parts = rest.rsplit_once(':').and_then(|(h, p)| Some((h.to_owned(), p.parse().ok()?)));
        return parts.ok_or_else(|| wrong(format!("--dist-url {url}: no host and port")));
    }
    if url != "env://" {
        return Err(wrong(format!("--dist-url {url}: neither env:// nor tcp://")));
    }
    // Slurm names no master: the first node of the step, and a port that its jobs do not share.
    let job = || variable("SLURM_JOB_ID")?.parse::<u32>().ok();
    let host = variable("MASTER_ADDR").or_else(|| {
        first_host(&variable("SLURM_STEP_NODELIST").or(variable("SLURM_JOB_NODELIST"))?)
    });
    let port = match variable("MASTER_PORT") {
        Some(text) => text.parse().map_err(|_| wrong(format!("MASTER_PORT={text:?}: no port")))?,
        None => job().map_or(29_500, |id| 20_000 + (id % 20_000) as u16),
    };
    Ok((host.ok_or_else(|| wrong("nothing says where the processes meet".into()))?, port))
}

/// The first host of Slurm's list: `node[03-07,12],login` is `node03`.
fn first_host(list: &str) -> Option<String> {
    let Some(open) = list.find('[') else { return list.split(',').next().map(str::to_owned) };
    if let Some((first, _)) = list.split_once(',').filter(|(first, _)| first.len() < open) {
        return Some(first.to_owned());
    }
    let inner = list[open + 1..].split([']', ',', '-']).next()?;
    let tail = list[open..].split_once(']')?.1.split(',').next()?;
    Some(format!("{}{inner}{tail}", &list[..open]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Result<Option<RankInfo>> {
        RankInfo::detect("env://", &|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn torchrun_and_its_store() {
        let place = detect(&[
            ("RANK", "3"),
            ("LOCAL_RANK", "1"),
            ("WORLD_SIZE", "4"),
            ("LOCAL_WORLD_SIZE", "2"),
            ("MASTER_ADDR", "head"),
            ("MASTER_PORT", "1234"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_RESTART_COUNT", "2"),
        ]);
        let place = place.unwrap().unwrap();
        assert_eq!((place.rank, place.local_rank, place.world), (3, 1, 4));
        assert_eq!((place.host.as_str(), place.port, place.local_world), ("head", 1234, Some(2)));
        assert!(place.agent_store && place.attempt == "2");
    }

    #[test]
    fn slurm_and_its_lists_of_hosts() {
        let step = [
            ("SLURM_PROCID", "5"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_NTASKS", "8"),
            ("SLURM_STEP_ID", "0"),
            ("SLURM_JOB_ID", "41234"),
            ("SLURM_STEP_NODELIST", "gpu[03-07,12],login"),
        ];
        let place = detect(&step).unwrap().unwrap();
        assert_eq!((place.rank, place.local_rank, place.world), (5, 1, 8));
        assert_eq!((place.host.as_str(), place.port), ("gpu03", 21_234));
        // The batch script itself is not one of its tasks.
        assert_eq!(detect(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]).unwrap(), None);
        for (list, host) in [("a", "a"), ("a,b[1-2]", "a"), ("n[7]", "n7"), ("n[1,3]x", "n1x")] {
            assert_eq!(first_host(list).as_deref(), Some(host), "{list}");
        }
    }

    #[test]
    fn alone_and_mistakes() {
        assert_eq!(detect(&[]).unwrap(), None);
        assert!(!RankInfo::is_launched(&|_| None));
        assert!(RankInfo::is_launched(&|name| (name == "WORLD_SIZE").then(|| "1".into())));
        assert_eq!(detect(&[("WORLD_SIZE", "1"), ("RANK", "0")]).unwrap(), None);
        for (variables, word) in [
            (vec![("WORLD_SIZE", "2")], "RANK"),
            (vec![("WORLD_SIZE", "two")], "not a number"),
            (vec![("WORLD_SIZE", "2"), ("RANK", "2"), ("MASTER_ADDR", "x")], "out of range"),
            (vec![("WORLD_SIZE", "2"), ("RANK", "0")], "MASTER_ADDR"),
        ] {
            let message = detect(&variables).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let url = |url| {
            RankInfo::detect(url, &|n| {
                ["WORLD_SIZE", "RANK"]
                    .contains(&n)
                    .then(|| if n == "RANK" { "0".into() } else { "2".into() })
            })
        };
        assert_eq!(url("tcp://h:99").unwrap().unwrap().port, 99);
        assert!(url("file:///x").is_err());
    }
}
