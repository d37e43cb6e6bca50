use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct Project {
    #[region(parent_id)]
    org: u64,
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
struct Task {
    #[region(parent)]
    project: Project,
    #[region(id)]
    id: u64,
}

fn main() {
    Project::path(7);
    Project::path("42", 7);
    Task::path(1, 2);
    Task::path(1, 2, "3");
}
