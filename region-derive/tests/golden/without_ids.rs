#[automatically_derived]
impl cache::Regioned for Settings {
    type Parent = cache::TopLevel;
    type Id = ();
    const NAME: &'static str = "settings";
    type Ids = ();
    #[inline]
    fn path_from((): Self::Ids) -> cache::TypedPath<Self> {
        cache::TypedPath::only_child::<
            Self,
        >(
            <cache::TopLevel as cache::Regioned>::path_from(
                cache::__private::parent_ids::<cache::TopLevel, ()>(()),
            ),
            "settings",
        )
    }
    #[inline]
    fn region_path(&self) -> cache::TypedPath<Self> {
        cache::TypedPath::only_child::<
            Self,
        >(
            <cache::TopLevel as cache::Regioned>::path_from(
                cache::__private::parent_ids::<cache::TopLevel, ()>(()),
            ),
            "settings",
        )
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl Settings {
    ///The path of the region `settings` that these ids name.
    #[must_use]
    #[inline]
    fn at() -> cache::TypedPath<Self> {
        <Self as cache::Regioned>::path_from(())
    }
}
