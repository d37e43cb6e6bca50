#[automatically_derived]
impl ::region_cache::Regioned for Task {
    type Parent = Project;
    type Id = u32;
    const NAME: &'static str = "task";
    type Ids = (u64, String, u32);
    #[inline]
    fn path_from((org, project, number): Self::Ids) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <Project as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<
                    Project,
                    (u64, String),
                >((org, project)),
            ),
            "task",
            &::region_cache::__private::id::<u32>(&number),
        )
    }
    #[inline]
    fn region_path(&self) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <Project as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<
                    Project,
                    (u64, String),
                >((
                    ::core::clone::Clone::clone(&self.org),
                    ::core::clone::Clone::clone(&self.project),
                )),
            ),
            "task",
            &::region_cache::__private::id::<u32>(&self.number),
        )
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl Task {
    ///The path of the region `task` that these ids name.
    #[must_use]
    #[inline]
    pub(crate) fn path(
        org: u64,
        project: String,
        number: u32,
    ) -> ::region_cache::TypedPath<Self> {
        <Self as ::region_cache::Regioned>::path_from((org, project, number))
    }
}
