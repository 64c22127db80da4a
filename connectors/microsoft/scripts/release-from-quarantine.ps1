# Releases one file that "Stop and quarantine file" has quarantined.
# Takes base64 of JSON in UTF-8: {"sha1": "..."}.
# Says "QUELL done" last when the file is back, "QUELL failed: why" when it is not; other words go before.
#
# Microsoft's command (Defender "Take response actions on a file") gives back every custom-blocked file of the last 30
# days, and its list names paths, not hashes. So a file is given back only where there is one alone, into a folder of its
# own, and goes to its place only when its SHA-1 is right.
param([Parameter(Mandatory = $true)][string] $Arguments)
$ErrorActionPreference = 'Stop'
try {
    $given = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Arguments)) | ConvertFrom-Json
    $defender = Join-Path $env:ProgramFiles 'Windows Defender\MpCmdRun.exe'
    $threat = ''
    $held = @()
    foreach ($line in (& $defender -Restore -ListAll)) {
        if ($line -match '^\s*ThreatName = (.+?)\s*$') { $threat = $Matches[1] }
        elseif ($threat -match '^EUS:Win32/CustomEnterpriseBlock(!cl)?$' -and $line -match '^\s*file:(.+?) quarantined at ') {
            $held += $Matches[1]
        }
    }
    $held = @($held | Select-Object -Unique)
    if ($held.Count -eq 0) { throw 'Defender lists no file that was stopped and quarantined.' }
    if ($held.Count -gt 1) { throw "Defender lists $($held.Count) such files and does not say which is which; undo it in the Defender portal." }
    $folder = Join-Path $env:ProgramData ('Quell\' + [guid]::NewGuid())
    New-Item -ItemType Directory -Path $folder | Out-Null
    & icacls.exe $folder /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
    & $defender -Restore -FilePath $held[0] -Path $folder | Out-Null
    $files = @(Get-ChildItem -LiteralPath $folder -File -Recurse -Force)
    if ($files.Count -ne 1) { throw "Defender did not give back $($held[0])." }
    $sha1 = (Get-FileHash -LiteralPath $files[0].FullName -Algorithm SHA1).Hash
    if ($sha1 -ne $given.sha1) { throw "$($held[0]) has another SHA-1, $sha1; it was kept in $folder, where only administrators reach it." }
    if (Test-Path -LiteralPath $held[0]) { throw "Another file is at $($held[0]) now; the released one is in $folder." }
    Move-Item -LiteralPath $files[0].FullName -Destination $held[0]
    & icacls.exe $held[0] /reset | Out-Null
    Remove-Item -LiteralPath $folder -Recurse -Force
    Write-Output "QUELL released $($held[0])"
}
catch {
    Write-Output ('QUELL failed: ' + ($_.Exception.Message -replace '\s+', ' '))
    exit 1
}
Write-Output 'QUELL done'
exit 0
