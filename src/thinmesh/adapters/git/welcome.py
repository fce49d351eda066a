"""The two top-level files of the data repository as they begin; both are the server's."""

CATALOG_HEADER = "name,domain,owner,description,tables,access\n"

README = """\
# Data products

Each folder `<domain>/<product>/` is a data product. `data_catalog.csv` lists them all; it and this file are written
by the server.

## Publish data from here

Clone with the setting that lets the server merge your push with those of others (you are never behind):

    git clone -c remote.origin.push=HEAD:refs/for/main ADDRESS

User name: anything. Password: a token (`thinmesh token new`).

Then put your data into a folder and push it:

    mkdir -p aviation/weather
    cp ~/weather.csv aviation/weather/weather.csv
    git add aviation/weather
    git commit -m "Publish the weather"
    git push

The reply says what was registered and published, or every line that is wrong; then nothing was changed. Afterwards
`git pull` brings your clone to where the server is. Where you have committed again since, your clone and the server
have gone apart: `git pull --no-rebase` merges them. It is also the way out where a push is refused because a file
changed on both sides: settle the conflict, commit, and push again.

## What a product folder holds

| file | |
|---|---|
| `product.json` | the descriptor: `name`, `domain`, `description` are enough; without it, they are inferred |
| `README.md` | optional |
| `contract.yaml` | optional: an ODCS contract; then `product.json` has no `tables` |
| `product.odps.yaml` | optional: an ODPS product; it says what `product.json` leaves out |
| `<table>.csv` | a table: UTF-8, comma, a header line; or several files of one table: `<table>/*.csv` |
| others | kept for people to read, up to 1 MB each; never taken for data |

Names are `[a-z][a-z0-9_]*`, at most 63 characters. Files up to 50 MB, unless this server is set otherwise; for larger
or compressed ones, Parquet, and data that not everybody may read: `thinmesh publish PRODUCT FILE`.

To take a product off, use `thinmesh retire PRODUCT`; deleting or moving its folder is refused.
"""
