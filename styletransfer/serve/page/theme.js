// Before the first paint: the appearance that was chosen earlier.
document.documentElement.dataset.theme = localStorage.getItem("styletransfer.theme") || "auto";
