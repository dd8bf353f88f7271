"""The app's entry: page set-up and navigation, nothing else."""

import streamlit as st

st.set_page_config(page_title="CSP Explorer", page_icon="🧭", layout="wide")
st.navigation(
    [
        st.Page("views/explore.py", title="Explore", url_path="explore", default=True),
        st.Page("views/range_map.py", title="Range map", url_path="range-map"),
        st.Page("views/photo.py", title="Photo", url_path="photo"),
        st.Page("views/about.py", title="About", url_path="about"),
    ],
    position="top",
).run()
