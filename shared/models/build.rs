//! Packs the models for the feature `embedded`; without it there is nothing to do.

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "embedded")]
    pack()?;
    Ok(())
}

#[cfg(feature = "embedded")]
fn pack() -> std::io::Result<()> {
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::path::PathBuf;

    println!("cargo::rerun-if-changed=aws");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(std::io::ErrorKind::NotFound)?);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir("aws")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    let mut table = String::from("pub static MODELS: &[(&str, &[u8])] = &[\n");
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let packed = out.join(format!("{name}.deflate"));
        let mut encoder =
            flate2::write::DeflateEncoder::new(std::fs::File::create(&packed)?, flate2::Compression::best());
        encoder.write_all(&std::fs::read(&path)?)?;
        encoder.finish()?;
        let _ = writeln!(table, "    ({name:?}, include_bytes!({packed:?})),");
    }
    table.push_str("];\n");
    std::fs::write(out.join("embedded.rs"), table)
}
