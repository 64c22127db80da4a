# Deletes one file.
# Takes base64 of JSON in UTF-8: {"path": "C:\\folder\\file.exe", "sha1": "..."}. With sha1, only a file that has it.
# Says "QUELL done" last when the file is gone, "QUELL failed: why" when it is not; other words go before.
param([Parameter(Mandatory = $true)][string] $Arguments)
$ErrorActionPreference = 'Stop'
try {
    $given = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Arguments)) | ConvertFrom-Json
    $file = Get-Item -LiteralPath $given.path -Force
    if ($file -isnot [IO.FileInfo]) { throw "$($given.path) is not a file." }
    if ($given.sha1) {
        $sha1 = (Get-FileHash -LiteralPath $file.FullName -Algorithm SHA1).Hash
        if ($sha1 -ne $given.sha1) { throw "The file has another SHA-1, $sha1; it was left alone." }
    }
    Remove-Item -LiteralPath $file.FullName -Force
    if (Test-Path -LiteralPath $file.FullName) { throw "$($file.FullName) is still there." }
    Write-Output "QUELL deleted $($file.FullName)"
}
catch {
    Write-Output ('QUELL failed: ' + ($_.Exception.Message -replace '\s+', ' '))
    exit 1
}
Write-Output 'QUELL done'
exit 0
